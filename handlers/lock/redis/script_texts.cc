#include "handlers/lock/redis/script_texts.h"

#include "handlers/redis/guard.h"

namespace sluice::lock {

const char* const kLeases = R"(
local SHARED = 2147483647

-- Leases that have ended are dropped; each that is left is a holder.
local function load(key)
  local lock = {t = {0, 0}, e = {0, 0, ''}, leases = {}, holders = 0, wanted = 0, by = ''}
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local field, value = flat[i], flat[i + 1]
    if field == 't' then lock.t = cmsgpack.unpack(value)
    elseif field == 'e' then lock.e = cmsgpack.unpack(value)
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

const char* const kAcquire = R"(
local owner, nonce, ttl, slots, reentry, intent, forget = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8])
if now < tonumber(server[3]) then return {'closed', tonumber(server[3]) - now} end
if taken_back(nonce) then return {'undone'} end
local proposed, old = proposal(ARGV[9], ARGV[10]), nil
local locks, blocked, at, who, way = {}, false, 0, '', nil
for i = 3, #KEYS do
  local lock = load(KEYS[i])
  locks[i] = lock
  local own = lock.leases[owner]
  if own and was_left(own, nonce) then return {'undone'} end
  old = old or outrun(lock, proposed)
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
if old then return {'late', old[1], old[2]} end
local answer = {'granted'}
for i = 3, #KEYS do
  local lock = locks[i]
  local lease = lock.leases[owner]
  local existed, again = lease, false
  if lease then
    again = enter(lease, nonce, proposed)
    lease[7] = math.max(lease[7], now + ttl)
  else
    local token = next_token(lock, proposed)
    lease = begin(lock, slots, token, nonce, now + ttl)
    redis.call('HSET', KEYS[i], 't', cmsgpack.pack(token))
    if lock.by == owner then redis.call('HDEL', KEYS[i], 'w', 'b') end
  end
  keep(KEYS[i], owner, lease)
  will_last(KEYS[i], ttl, forget)
  answer[#answer + 1] = granted(lock, lease, nonce, existed, again)
end
return answer
)";

const char* const kUndo = R"(
local owner, nonce = ARGV[2], ARGV[3]
take_back(KEYS[2], nonce, ARGV[4])
for i = 3, #KEYS do
  local lock = load(KEYS[i])
  local lease = lock.leases[owner]
  local channel = ARGV[2 + i]
  local freed = channel and lock.by == owner and lock.wanted > 0
  if freed then redis.call('HDEL', KEYS[i], 'w', 'b') end
  if lease and leave(lease, nonce) then
    if lease[4] == 0 then
      redis.call('HDEL', KEYS[i], 'o' .. owner)
      if channel then ended(KEYS[i], lock, lease) else retracted(KEYS[i], lock, lease) end
      freed = true
    else
      keep(KEYS[i], owner, lease)
    end
  end
  if freed and channel then redis.call('PUBLISH', channel, '') end
end
return {'kept', 1, 0, 0, 0, 0}
)";

const char* const kRenew = R"(
local lock = load(KEYS[2])
local lease = mine(lock, ARGV[2], ARGV[3], ARGV[4])
if not lease then return kept(lock, nil) end
local ttl = tonumber(ARGV[5])
lease[7] = now + ttl
keep(KEYS[2], ARGV[2], lease)
will_last(KEYS[2], ttl, tonumber(ARGV[6]))
return kept(lock, lease)
)";

const char* const kForce = R"(
local lock = load(KEYS[2])
local answer, token = seen(lock), next_token(lock, proposal(ARGV[4], ARGV[5]))
answer[1], answer[2] = token[1], token[2]
for owner in pairs(lock.leases) do redis.call('HDEL', KEYS[2], 'o' .. owner) end
redis.call('HSET', KEYS[2], 't', cmsgpack.pack(token))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('PUBLISH', ARGV[3], '')
return {'locks', answer}
)";

const char* const kLook = R"(
local answer = {'locks'}
for i = 2, #KEYS do answer[i] = seen(load(KEYS[i])) end
return answer
)";

redis::Script lease_script(const char* functions, const char* body) { return redis::guarded(std::string(kLeases) + functions + body); }

}  // namespace sluice::lock
