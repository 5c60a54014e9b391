#pragma once
// LocalStore: no store to agree in. The worker id is the configuration's, and its mark is kept in a local file: locked, so that
// two gateways cannot use it, and synced before a mark counts. Above what a second file beside it remembers it goes on when the first
// one is an older copy, or was lost. It keeps neither tags nor sequences.
//
// That no other gateway has the same worker id is the operator's word; nothing here can check it.

#include <cstdint>
#include <map>
#include <string>

#include "handlers/id/local/high_mark.h"
#include "handlers/id/local/kept_file.h"
#include "handlers/id/store.h"

namespace sluice::id {

// The worker ids of a space end before that of the configuration; the rest of a message.
std::string no_such_worker(std::int64_t worker, const std::string& space, const std::string& layout, std::int64_t workers);

class LocalStore final : public Store {
 public:
  struct Options {
    std::string file;  // made when it is not there
    std::int64_t worker = 0;
    bool accept_copy = false;  // a copy of another gateway's file becomes the original
  };

  // Throws Fault: unavailable when the file cannot be used, conflict when another gateway uses it, it is damaged, a copy or has other names.
  LocalStore(Loop& home, Options options);

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

  void read(const std::string& text);
  std::string content() const;
  Space* mine(const Extend&);
  template <class Outcome>
  void keep(std::int64_t mark_ms, Outcome, UniqueFunction<void(Outcome)> done);

  const Options options_;
  KeptFile file_;
  HighMark top_;
  const std::string identity_;
  std::int64_t changes_ = 0;   // of the file, ever
  std::int64_t floor_ms_ = 0;  // no space begins lower
  std::map<std::string, Space, std::less<>> spaces_;
};

}  // namespace sluice::id
