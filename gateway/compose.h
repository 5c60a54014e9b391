#pragma once
// Gateway: the program put together: loops, handlers, transports. compose.cc has THE list of them.

#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gateway/access/access.h"
#include "gateway/config/settings.h"
#include "gateway/databases.h"
#include "gateway/id_stores.h"
#include "gateway/lifecycle/notify.h"
#include "gateway/lock_stores.h"
#include "rpc/handler.h"
#include "rpc/transport.h"

namespace sluice {

class Gateway {
 public:
  // Opens the database, binds the listeners. `more` are handlers of one's own, served beside ours. Throws Fault or
  // std::runtime_error with a message for the operator.
  explicit Gateway(config::Settings, std::vector<std::unique_ptr<Handler>> more = {});
  ~Gateway();  // after run(), or instead of it

  // "sluice 0.1.0 ready: ..." with the endpoints as bound.
  std::string ready_line() const;
  std::vector<std::string> endpoints(std::string_view transport) const;

  // Reads the configuration once more; nullopt when it is broken, which it has told already.
  using Reread = std::function<std::optional<config::Settings>()>;

  // Serves until SIGTERM or SIGINT (or stop()), then drains. A second signal cuts what still runs. SIGHUP takes over what
  // `reread` answers, as far as that is possible while running; without one it ends the gateway as SIGTERM does.
  void run(bool on_signals = true, Reread reread = {});
  void stop();  // as a signal does; from any thread

 private:
  class Signals;
  void drain();
  void close_listeners();
  void reload();
  void take_over(config::Settings);

  const config::Settings settings_;
  std::vector<std::unique_ptr<Loop>> loops_;  // outlive all that works on them
  std::unique_ptr<Workers> workers_;
  std::vector<std::unique_ptr<Handler>> handlers_;
  std::unique_ptr<Databases> databases_;
  std::unique_ptr<IdStores> id_stores_;
  std::unique_ptr<LockStores> lock_stores_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<access::Access> access_;  // nullptr: nobody is asked who he is
  std::vector<std::unique_ptr<Transport>> transports_;
  std::vector<std::thread> threads_;
  std::unique_ptr<Signals> signals_;
  std::unique_ptr<Timer> patience_;
  id::Id* ids_ = nullptr;  // among handlers_
  std::unique_ptr<lifecycle::Watchdog> watchdog_;
  std::atomic<bool> ready_{false};  // what GET /ready tells
  std::vector<std::shared_ptr<http::Tls>> tls_;  // of the listeners that speak it
  Reread reread_;
  bool reloading_ = false, reload_again_ = false;
  std::size_t draining_ = 0;
  bool stopping_ = false;
};

inline constexpr const char* kVersion = "0.1.0";

}  // namespace sluice
