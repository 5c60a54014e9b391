#include "handlers/id/redis/stamps.h"

#include "handlers/id/layout.h"
#include "handlers/id/redis/answers.h"
#include "handlers/id/redis/scripts.h"

namespace sluice::id {

RedisStamps::RedisStamps(Loop& home, const redis::Address& address, Options options)
    : options_(std::move(options)), link_(home, address, {}), guard_(link_, "sluice:ids", options_.file, 0) {
  guard_.start();
}

void RedisStamps::stamp(std::string tag, UniqueFunction<void(Number)> done) {
  redis::Words keys{"sluice:id:stamp:" + tag};
  auto read = [this, tag = std::move(tag)](const Told& told) -> Number {
    if (told.is("closed")) return closed(link_.address().name, told);
    const std::int64_t seconds = told.number(1) - kDefaultEpochMs / 1000, count = told.number(2);
    if (seconds < 0 || seconds >> 31 || count >> 32) return Fault(Fault::Kind::unavailable, "the clock of Redis at " + link_.address().name + " is before 2025 or after 2093; set it right");
    return seconds << 32 | count;
  };
  guard_.call(scripts().stamp, std::move(keys), {}, options_.limit, reading(std::move(done), std::move(read)));
}

}  // namespace sluice::id
