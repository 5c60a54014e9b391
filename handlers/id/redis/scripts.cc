#include "handlers/id/redis/scripts.h"

#include "handlers/redis/guard.h"

namespace sluice::id {
namespace {

constexpr const char* kCommon = R"(
local data = tonumber(server[2])
local function text(number) return string.format('%.0f', number) end
local function closed() return now < tonumber(server[3]) and {'closed', tonumber(server[3]) - now} or nil end
)";

// A gateway that knows of a mark above all that the server knows of: the server forgot some, and whoever begins now begins above.
constexpr const char* kRaise = R"(
local top = tonumber(redis.call('HGET', KEYS[1], 'top') or 0)
if tonumber(ARGV[2]) > top then
  redis.call('HSET', KEYS[1], 'top', ARGV[2])
  redis.call('HDEL', KEYS[1], 'floored')
end
return {'raised'}
)";

constexpr const char* kWorkers = R"(
local EPOCH, DATA, MARK, EXPIRES, INSTANCE, GATEWAY, START = 1, 2, 3, 4, 5, 6, 7
local function load(worker)
  local packed = redis.call('HGET', KEYS[2], 'w' .. worker)
  return packed and cmsgpack.unpack(packed) or {0, 0, 0, 0, '', '', 0}
end
local function keep(worker, row) redis.call('HSET', KEYS[2], 'w' .. worker, cmsgpack.pack(row)) end
local function marked(gateway) return tonumber(redis.call('HGET', KEYS[2], 'g' .. gateway) or 0) end
local marks = redis.call('HMGET', KEYS[1], 'top', 'floor', 'floored')
local top, floor, floored = tonumber(marks[1] or 0), tonumber(marks[2] or 0), marks[3] == server[2]
-- The gateway's own mark goes up with that of its worker, so that its next start is above whatever worker id it gets.
local function raise(gateway, mark)
  if mark > marked(gateway) then redis.call('HSET', KEYS[2], 'g' .. gateway, text(mark)) end
  if mark > top then
    top = mark
    redis.call('HSET', KEYS[1], 'top', text(top))
  end
end
)";

// On data that began anew the first claim lays down a floor for all: above every mark that is known of, and far enough above the time for
// those of gateways that have not come back. What is claimed below it is claimed again.
constexpr const char* kClaim = R"(
local layout, gateway, instance, workers, least, window, lease = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local shut = closed()
if shut then return shut end
local held = redis.call('HGET', KEYS[2], 'layout')
if held and held ~= layout then return {'layout', held} end
if not held then redis.call('HSET', KEYS[2], 'layout', layout) end
lasts(math.max(lease, window))
if not floored then
  floor = math.max(floor, top, least) + window + 1000
  redis.call('HSET', KEYS[1], 'floor', text(floor), 'floored', server[2])
end
local soonest = lease
for worker = 0, workers - 1 do
  local row = load(worker)
  if row[DATA] ~= data or row[EXPIRES] <= now then
    local start = math.max(least, row[MARK], marked(gateway), floor)
    keep(worker, {row[EPOCH] + 1, data, start + window, now + lease, instance, gateway, start})
    raise(gateway, start + window)
    return {'claimed', worker, row[EPOCH] + 1, start, start + window, top}
  end
  soonest = math.min(soonest, row[EXPIRES] - now)
end
return {'exhausted', soonest}
)";

constexpr const char* kMine = R"(
local gateway, instance, worker, epoch, mark = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local row = load(worker)
local mine = row[EPOCH] == epoch and row[DATA] == data and row[INSTANCE] == instance
)";

constexpr const char* kExtend = R"(
local lease = tonumber(ARGV[7])
local shut = closed()
if shut then return shut end
if not mine or not floored or row[START] < floor then return {'kept', 0} end
lasts(lease)
row[MARK] = math.max(row[MARK], mark)
row[EXPIRES] = now + lease
keep(worker, row)
raise(gateway, row[MARK])
return {'kept', 1, top}
)";

constexpr const char* kRelease = R"(
if not mine then return {'kept', 0} end
local before = row[MARK]
row[MARK] = math.min(before, mark)
row[EXPIRES] = 0
keep(worker, row)
-- What this worker raised the gateway's mark to comes down with it; another's, of the same name, stays.
if marked(gateway) == before then redis.call('HSET', KEYS[2], 'g' .. gateway, text(row[MARK])) end
return {'kept', 1}
)";

constexpr const char* kCreate = R"(
local row = redis.call('HMGET', KEYS[2], 'next', 'step', 'delta', 'data')
if row[1] and tonumber(row[4]) == data then return {'kept', row[1], row[2], row[3]} end
if data > 1 and ARGV[5] ~= '1' then return {'forgotten', row[1] or ''} end
-- Both are decimal numbers of up to 19 digits: the longer one is the greater.
if row[1] and (#ARGV[2] < #row[1] or (#ARGV[2] == #row[1] and ARGV[2] < row[1])) then return {'forgotten', row[1]} end
redis.call('HSET', KEYS[2], 'next', ARGV[2], 'step', ARGV[3], 'delta', ARGV[4], 'data', text(data))
return {'created', ARGV[2], ARGV[3], ARGV[4]}
)";

constexpr const char* kReserve = R"(
local row = redis.call('HMGET', KEYS[2], 'next', 'step', 'delta', 'data')
if not row[1] then return data > 1 and {'forgotten', ''} or {'unknown'} end
if tonumber(row[4]) ~= data then return {'forgotten', row[1]} end
local count = tonumber(ARGV[2])
if count == 0 then count = tonumber(row[2]) end
local done = redis.pcall('HINCRBY', KEYS[2], 'next', text(count * tonumber(row[3])))
if type(done) == 'table' then return {'spent', row[1]} end
return {'reserved', row[1], count, row[3], row[2]}
)";

constexpr const char* kSequence = R"(
local row = redis.call('HMGET', KEYS[2], 'last', 'data')
if not row[1] and data > 1 then return {'forgotten', '', data} end
if row[1] and tonumber(row[2]) ~= data then return {'forgotten', row[1], data} end
if not row[1] then redis.call('HSET', KEYS[2], 'data', text(data)) end
local done = redis.pcall('HINCRBY', KEYS[2], 'last', 1)
if type(done) == 'table' then return {'spent', row[1]} end
return {'next', redis.call('HGET', KEYS[2], 'last')}
)";

// In a second that nothing is known of, others may have been given: the next one is begun ahead of its time.
constexpr const char* kStamp = R"(
local shut = closed()
if shut then return shut end
local row = redis.call('HMGET', KEYS[2], 'second', 'count', 'data')
local second, count = math.max(math.floor(now / 1000), tonumber(row[1] or 0)), 0
if not row[1] or tonumber(row[3]) ~= data then second = second + 1
elseif tonumber(row[1]) == second then count = tonumber(row[2]) end
redis.call('HSET', KEYS[2], 'second', text(second), 'count', text(count + 1), 'data', text(data))
return {'stamp', second, count}
)";

}  // namespace

const Scripts& scripts() {
  const auto script = [](const std::string& text) { return redis::guarded(kCommon + text); };
  const std::string workers = kWorkers, mine = workers + kMine;
  static const Scripts all{script(kRaise),  script(workers + kClaim), script(mine + kExtend), script(mine + kRelease),
                           script(kCreate), script(kReserve),         script(kSequence),      script(kStamp)};
  return all;
}

}  // namespace sluice::id
