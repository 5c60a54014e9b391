#pragma once
// LocalStore: no store to agree in. The worker id is the configuration's, and its mark is kept in a local file: locked, so that
// two gateways cannot use it, and synced before a mark counts. It keeps neither tags nor sequences.
//
// That no other gateway has the same worker id is the operator's word; nothing here can check it.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "handlers/id/store.h"
#include "rpc/loop.h"
#include "rpc/workers.h"

namespace sluice::id {

class LocalStore final : public Store {
 public:
  struct Options {
    std::string file;  // made when it is not there
    std::int64_t worker = 0;
    bool accept_copy = false;  // a copy of another gateway's file becomes the original
  };

  // Throws Fault: unavailable when the file cannot be used, conflict when another gateway uses it, it is damaged or a copy.
  LocalStore(Loop& home, Options options);
  ~LocalStore() override;

  std::string_view backend() const override { return "worker"; }
  void claim(Claim, UniqueFunction<void(Claimed)>) override;
  void extend(Extend, UniqueFunction<void(Extended)>) override;
  void release(Extend, UniqueFunction<void(Extended)>) override;
  void create(Tag, UniqueFunction<void(Creation)>) override;
  void reserve(std::string tag, std::int64_t count, UniqueFunction<void(Reserved)>) override;
  void sequence(std::string tag, UniqueFunction<void(Number)>) override;

 private:
  struct Space {
    std::int64_t epoch = 0, mark_ms = 0;
    std::string layout, instance;  // the instance is not written: it goes with the process
  };
  using Written = UniqueFunction<void(const Fault* failed)>;

  void read();
  std::string content() const;
  Space* mine(const Extend&);
  void keep(Written);  // all of it, durably; answers later
  void write_next();

  Loop& home_;
  const Options options_;
  int file_ = -1;
  std::int64_t written_ = 0;  // how often; odd and even ones have places of their own
  std::string identity_;
  std::map<std::string, Space, std::less<>> spaces_;
  bool writing_ = false;
  std::vector<Written> waiting_;  // for the next write, which has all that was changed before it
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Workers writer_{1};  // last, so that it ends before what it writes goes
};

}  // namespace sluice::id
