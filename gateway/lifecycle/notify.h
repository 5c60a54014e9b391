#pragma once
// Notify: tells systemd how the service is, over the socket that it names in NOTIFY_SOCKET (sd_notify(3)). Without one, nothing.

#include <memory>
#include <string>
#include <vector>

#include "rpc/loop.h"

namespace sluice::lifecycle {

void notify(const std::string& state);  // "READY=1", several lines at once

// Says RELOADING=1 while it lives, then READY=1.
class Reloading {
 public:
  Reloading();
  ~Reloading();
};

// Sends WATCHDOG=1 twice in the time that systemd allows (WATCHDOG_USEC), as long as all loops turn.
class Watchdog {
 public:
  explicit Watchdog(std::vector<Loop*> loops);  // on the first of them, which outlives us, as the others do
  ~Watchdog();

 private:
  void beat();
  const std::vector<Loop*> loops_;
  std::chrono::milliseconds every_{0};
  Timer timer_;
  std::shared_ptr<std::atomic<std::size_t>> silent_;  // loops that have not answered yet
};

}  // namespace sluice::lifecycle
