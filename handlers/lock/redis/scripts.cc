#include "handlers/lock/redis/scripts.h"

#include "handlers/redis/guard.h"

namespace sluice::lock {
namespace {

constexpr const char* kCommon = R"(
local SHARED = 2147483647

-- Leases that have ended are dropped; each that is left is a holder.
local function load(key)
  local lock = {t = {0, 0}, leases = {}, holders = 0, wanted = 0, by = ''}
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local field, value = flat[i], flat[i + 1]
    if field == 't' then lock.t = cmsgpack.unpack(value)
    elseif field == 'w' then lock.wanted = tonumber(value)
    elseif field == 'b' then lock.by = value
    else
      local lease = cmsgpack.unpack(value)
      if lease[7] > now then
        lock.leases[string.sub(field, 2)] = lease
        lock.holders = lock.holders + 1
      else
        redis.call('HDEL', key, field)
      end
    end
  end
  return lock
end

local function keep(key, owner, lease) redis.call('HSET', key, 'o' .. owner, cmsgpack.pack(lease)) end

local function next_token()
  local counter = redis.call('HINCRBY', KEYS[1], 'counter', 1)
  return {tonumber(server[2]), counter}
end

local function will_last(key, ttl, forget)
  redis.call('PEXPIRE', key, string.format('%.0f', ttl + forget))
  lasts(ttl)
end

local function told(owner, lease) return {owner, lease[2], lease[3], lease[1], lease[4], lease[7] - now, now - lease[6]} end

local function mine(lock, owner, epoch, counter)
  local lease = lock.leases[owner]
  return lease and lease[2] == tonumber(epoch) and lease[3] == tonumber(counter) and lease or nil
end
)";

constexpr const char* kAcquire = R"(
local owner, nonce, ttl, slots, reentry, intent, forget = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8])
if now < tonumber(server[3]) then return {'closed', tonumber(server[3]) - now} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'undone'} end
local locks, blocked, at, who, way = {}, false, 0, '', nil
for i = 3, #KEYS do
  local lock = load(KEYS[i])
  locks[i] = lock
  local own = lock.leases[owner]
  if own and own[1] ~= slots then return {'held', 'other_mode', i - 3, told(owner, own)} end
  if not own then
    local here = reentry or lock.holders >= slots or (slots == SHARED and lock.wanted > now and lock.by ~= owner)
    for other, lease in pairs(lock.leases) do here = here or lease[1] ~= slots end
    blocked = blocked or here
    if here then
      for other, lease in pairs(lock.leases) do
        -- Of those in the way the one whose lease ends first; fellow readers are not in the way, so they come last.
        local fellow, known = slots == SHARED and lease[1] == SHARED, way and slots == SHARED and way[1] == SHARED
        if not way or (known and not fellow) or (fellow == known and lease[7] < way[7]) then at, who, way = i - 3, other, lease end
      end
    end
  end
end
if blocked then
  for i, lock in pairs(locks) do
    local shared = false
    for other, lease in pairs(lock.leases) do shared = shared or lease[1] == SHARED end
    if intent > 0 and shared and not lock.leases[owner] then redis.call('HSET', KEYS[i], 'w', string.format('%.0f', now + intent), 'b', owner) end
  end
  return {'held', reentry and 'not_yours' or 'held', at, way and told(who, way)}
end
local answer = {'granted'}
for i = 3, #KEYS do
  local lock = locks[i]
  local lease = lock.leases[owner]
  if lease then
    if lease[5] ~= nonce then lease[4] = lease[4] + 1 end
    lease[5] = nonce
    lease[7] = math.max(lease[7], now + ttl)
  else
    local token = next_token()
    lease = {slots, token[1], token[2], 1, nonce, now, now + ttl}
    redis.call('HSET', KEYS[i], 't', cmsgpack.pack(token))
    if lock.by == owner then redis.call('HDEL', KEYS[i], 'w', 'b') end
  end
  keep(KEYS[i], owner, lease)
  will_last(KEYS[i], ttl, forget)
  answer[#answer + 1] = {lease[2], lease[3], lease[4], lease[7] - now}
end
return answer
)";

constexpr const char* kUndo = R"(
local owner, nonce = ARGV[2], ARGV[3]
redis.call('SET', KEYS[2], '', 'PX', ARGV[4])
for i = 3, #KEYS do
  local lock = load(KEYS[i])
  local lease = lock.leases[owner]
  local freed = lock.by == owner and lock.wanted > 0
  if freed then redis.call('HDEL', KEYS[i], 'w', 'b') end
  if lease and lease[5] == nonce then
    lease[4] = lease[4] - 1
    lease[5] = ''
    if lease[4] == 0 then
      redis.call('HDEL', KEYS[i], 'o' .. owner)
      freed = true
    else
      keep(KEYS[i], owner, lease)
    end
  end
  if freed then redis.call('PUBLISH', ARGV[2 + i], '') end
end
return {'kept', 1, 0, 0, 0}
)";

constexpr const char* kRelease = R"(
local lock = load(KEYS[2])
local lease = mine(lock, ARGV[2], ARGV[3], ARGV[4])
if not lease then return {'kept', 0, 0, lock.t[1], lock.t[2]} end
lease[4] = lease[4] - 1
if lease[4] == 0 then
  redis.call('HDEL', KEYS[2], 'o' .. ARGV[2])
  redis.call('PUBLISH', ARGV[5], '')
else
  keep(KEYS[2], ARGV[2], lease)
end
return {'kept', 1, lease[4], lock.t[1], lock.t[2]}
)";

constexpr const char* kRenew = R"(
local lock = load(KEYS[2])
local lease = mine(lock, ARGV[2], ARGV[3], ARGV[4])
if not lease then return {'kept', 0, 0, lock.t[1], lock.t[2]} end
local ttl = tonumber(ARGV[5])
lease[7] = now + ttl
keep(KEYS[2], ARGV[2], lease)
will_last(KEYS[2], ttl, tonumber(ARGV[6]))
return {'kept', 1, lease[4], lock.t[1], lock.t[2]}
)";

constexpr const char* kForce = R"(
local lock = load(KEYS[2])
local token = next_token()
local holders = {}
for owner, lease in pairs(lock.leases) do
  holders[#holders + 1] = told(owner, lease)
  redis.call('HDEL', KEYS[2], 'o' .. owner)
end
redis.call('HSET', KEYS[2], 't', cmsgpack.pack(token))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('PUBLISH', ARGV[3], '')
return {'locks', {token[1], token[2], holders}}
)";

constexpr const char* kLook = R"(
local answer = {'locks'}
for i = 2, #KEYS do
  local lock = load(KEYS[i])
  local holders = {}
  for owner, lease in pairs(lock.leases) do holders[#holders + 1] = told(owner, lease) end
  answer[i] = {lock.t[1], lock.t[2], holders}
end
return answer
)";

}  // namespace

const Scripts& scripts() {
  auto script = [](const char* text) { return redis::guarded(std::string(kCommon) + text); };
  static const Scripts all{script(kAcquire), script(kUndo), script(kRelease), script(kRenew), script(kForce), script(kLook)};
  return all;
}

}  // namespace sluice::lock
