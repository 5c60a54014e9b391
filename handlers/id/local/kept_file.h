#pragma once
// KeptFile: a short text in a local file that one gateway alone uses. The file is locked; a write is on disk before it counts, is
// made by a thread of its own, and one that is cut off leaves the text before it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/fault.h"
#include "rpc/loop.h"
#include "rpc/workers.h"

namespace sluice::id {

class KeptFile {
 public:
  using Written = UniqueFunction<void(const Fault* failed)>;
  struct InUse : Fault {  // a conflict: another gateway has the file
    using Fault::Fault;
  };

  // Makes the file when it is not there. `format` is the first word in it, and says what kind of text that is. Throws Fault:
  // unavailable when the file cannot be used, InUse when another gateway uses it, conflict when it is damaged or of another kind.
  KeptFile(Loop& home, std::string file, std::string format);

  // What is in a file now, which another gateway may use; "" when it is not there, or nothing was written yet.
  static std::string text_of(const std::string& file, const std::string& format);

  const std::string& found() const noexcept { return found_; }  // the text at the start; empty: there was none

  // On home: calls `content` for the text when it is its turn, and `done`, on home and later, when that is on disk. Writes that
  // are asked for meanwhile become one.
  void keep(UniqueFunction<std::string()> content, Written done);

 private:
  struct Descriptor {
    explicit Descriptor(int fd) noexcept : fd(fd) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    const int fd;  // -1: none
  };
  struct Newest {
    std::int64_t written = 0;
    std::string text;
    bool any = false;   // the file is not empty
    bool good = false;  // a place of it is whole
  };
  static Newest newest(int fd, const std::string& file, const std::string& format);
  void write_next(UniqueFunction<std::string()> content);

  Loop& home_;
  const std::string file_, format_;
  const Descriptor open_;
  std::int64_t written_ = 0;  // how often; odd and even ones have places of their own
  std::string found_;
  bool writing_ = false;
  UniqueFunction<std::string()> content_;  // of the next write
  std::vector<Written> waiting_;           // for it
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Workers writer_{1};  // last, so that it is through before the file is closed and what it writes goes
};

}  // namespace sluice::id
