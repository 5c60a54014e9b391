#include "handlers/lock/redis/scripts.h"

#include "handlers/redis/guard.h"

namespace sluice::lock {
namespace {

constexpr const char* kCommon = R"(
local SHARED = 2147483647

-- Leases that have ended are dropped; each that is left is a holder.
local function load(key)
  local lock = {t = {0, 0}, e = {0, 0}, leases = {}, holders = 0, wanted = 0, by = ''}
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

// What differs between a master that decides alone and one that votes: where tokens come from, which requests are the same one, and
// what is remembered of leases that were given back.
constexpr const char* kAlone = R"(
local function next_token()
  local counter = redis.call('HINCRBY', KEYS[1], 'counter', 1)
  return {tonumber(server[2]), counter}
end

local function same(lease, nonce) return lease[5] == nonce end
local function enter(lease, nonce) lease[5] = nonce end
local function leave(lease, nonce)
  if lease[5] ~= nonce then return false end
  lease[5] = ''
  return true
end
local function granted(lock, lease, existed) return {lease[2], lease[3], lease[4], lease[7] - now} end
local function ended(key, lock, lease) end
local function retracted(key, lock, lease) end
)";

// A voter takes the token that is proposed, unless it knows a higher one for the name; or, when it has forgotten the name, for any.
// Nonces are REQUEST:ATTEMPT. A lease has those of all its entries: one that this master read late, and that came to nothing, is taken
// back although its owner has entered again meanwhile. It also carries the name's token before it (8 and 9); a lock also e, the highest
// token that was given back, so that a lease which a master kept because it missed that is not taken for one that is held.
constexpr const char* kVoter = R"(
local function less(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end

local function remember(token)
  if less({tonumber(server[2]), tonumber(server[5] or 0)}, token) then
    redis.call('HSET', KEYS[1], 'epoch', token[1], 'counter', string.format('%.0f', token[2]))
    server[2], server[5] = token[1], token[2]
  end
end

local function next_token(lock, epoch, counter)
  local last = lock.t
  if last[1] == 0 and last[2] == 0 then last = {tonumber(server[2]), tonumber(server[5] or 0)} end
  -- A request may be read when its own lease was given back elsewhere: its token is never granted again.
  if less(last, lock.e) then last = lock.e end
  local token = {math.max(tonumber(epoch), tonumber(server[2])), tonumber(counter)}
  if not less(last, token) then token = {last[1], last[2] + 1} end
  remember(token)
  return token
end

local function request_of(nonce) return string.match(nonce, '^(.*):') end
local function is(entry, nonce) return entry == nonce end
local function of_one_request(entry, nonce) return request_of(entry) == request_of(nonce) end
local function taken_back(entry, nonce) return entry == nonce or request_of(entry) .. ':' == nonce end

-- A lease's nonces without those that match, and whether there were any.
local function without(lease, nonce, matches)
  local left, found = {}, false
  for entry in string.gmatch(lease[5], '[^\n]+') do
    if matches(entry, nonce) then found = true else left[#left + 1] = entry end
  end
  return left, found
end

local function holds(lease, nonce)
  local left, found = without(lease, nonce, is)
  return found
end
local function same(lease, nonce)
  local left, found = without(lease, nonce, of_one_request)
  return found
end
local function enter(lease, nonce)
  local entries = without(lease, nonce, of_one_request)
  entries[#entries + 1] = nonce
  lease[5] = table.concat(entries, '\n', math.max(1, #entries - 15))
end
local function leave(lease, nonce)
  local left, found = without(lease, nonce, taken_back)
  lease[5] = table.concat(left, '\n')
  return found
end
local function granted(lock, lease, existed) return {lease[2], lease[3], lease[4], lease[7] - now, existed and 1 or 0, lock.t[1], lock.t[2], lock.e[1], lock.e[2]} end

local function ended(key, lock, lease)
  local token = {lease[2], lease[3]}
  if less(lock.e, token) then redis.call('HSET', key, 'e', cmsgpack.pack(token)) end
end

-- A vote that came to nothing: its token was never given to anyone.
local function retracted(key, lock, lease)
  if lock.t[1] == lease[2] and lock.t[2] == lease[3] then redis.call('HSET', key, 't', cmsgpack.pack({lease[8], lease[9]})) end
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
  local existed = lease
  if lease then
    if not same(lease, nonce) then lease[4] = lease[4] + 1 end
    enter(lease, nonce)
    lease[7], lease[8], lease[9] = math.max(lease[7], now + ttl), lease[2], lease[3]
  else
    local token = next_token(lock, ARGV[9], ARGV[10])
    lease = {slots, token[1], token[2], 1, nonce, now, now + ttl, lock.t[1], lock.t[2]}
    redis.call('HSET', KEYS[i], 't', cmsgpack.pack(token))
    if lock.by == owner then redis.call('HDEL', KEYS[i], 'w', 'b') end
  end
  keep(KEYS[i], owner, lease)
  will_last(KEYS[i], ttl, forget)
  answer[#answer + 1] = granted(lock, lease, existed)
end
return answer
)";

constexpr const char* kUndo = R"(
local owner, nonce = ARGV[2], ARGV[3]
redis.call('SET', KEYS[2], '', 'PX', ARGV[4])
for i = 3, #KEYS do
  local lock = load(KEYS[i])
  local lease = lock.leases[owner]
  local channel = ARGV[2 + i]
  local freed = channel and lock.by == owner and lock.wanted > 0
  if freed then redis.call('HDEL', KEYS[i], 'w', 'b') end
  if lease and leave(lease, nonce) then
    lease[4] = lease[4] - 1
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

constexpr const char* kRelease = R"(
local lock = load(KEYS[2])
local lease = mine(lock, ARGV[2], ARGV[3], ARGV[4])
if not lease then
  -- What comes late, to keep it here too, is to know.
  if lock.t[2] > 0 then ended(KEYS[2], lock, {0, tonumber(ARGV[3]), tonumber(ARGV[4])}) end
  return {'kept', 0, 0, lock.t[1], lock.t[2], 0}
end
lease[4] = ARGV[6] and 0 or lease[4] - 1
if lease[4] == 0 then
  redis.call('HDEL', KEYS[2], 'o' .. ARGV[2])
  ended(KEYS[2], lock, lease)
  redis.call('PUBLISH', ARGV[5], '')
else
  keep(KEYS[2], ARGV[2], lease)
end
return {'kept', 1, lease[4], lock.t[1], lock.t[2], lease[1]}
)";

constexpr const char* kRenew = R"(
local lock = load(KEYS[2])
local lease = mine(lock, ARGV[2], ARGV[3], ARGV[4])
if not lease then return {'kept', 0, 0, lock.t[1], lock.t[2], 0} end
local ttl = tonumber(ARGV[5])
lease[7] = now + ttl
keep(KEYS[2], ARGV[2], lease)
will_last(KEYS[2], ttl, tonumber(ARGV[6]))
return {'kept', 1, lease[4], lock.t[1], lock.t[2], lease[1]}
)";

constexpr const char* kForce = R"(
local lock = load(KEYS[2])
local token = next_token(lock, ARGV[4], ARGV[5])
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

// Of voters alone: all masters that granted a request come to the same token and count.
constexpr const char* kSettle = R"(
local owner, nonce, ttl, forget = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local locks = {}
for i = 2, #KEYS do
  locks[i] = load(KEYS[i])
  local lease = locks[i].leases[owner]
  if not lease or not holds(lease, nonce) then return {'gone'} end
end
local answer = {'granted'}
for i = 2, #KEYS do
  local at = 4 * i - 2
  local lock, given, count, goes_on = locks[i], {tonumber(ARGV[at]), tonumber(ARGV[at + 1])}, tonumber(ARGV[at + 2]), ARGV[at + 3] == '1'
  local lease = lock.leases[owner]
  local own = {lease[2], lease[3]}
  local newest = lock.t[1] == own[1] and lock.t[2] == own[2]
  if less(own, given) then
    if not newest and not less(lock.t, given) then given = {lock.t[1], lock.t[2] + 1} end
    remember(given)
    redis.call('HSET', KEYS[i], 't', cmsgpack.pack(given))
    lease[4] = count
  elseif less(given, own) and goes_on then
    -- The owner has held it all the time, and this master did not know: its own token was never given to anyone.
    if newest then redis.call('HSET', KEYS[i], 't', cmsgpack.pack(given)) end
    lease[4] = count
  else
    given = own
    lease[4] = math.max(lease[4], count)
  end
  lease[2], lease[3] = given[1], given[2]
  if goes_on then lease[8], lease[9] = given[1], given[2] end
  keep(KEYS[i], owner, lease)
  answer[#answer + 1] = granted(lock, lease, true)
end
return answer
)";

// Of voters alone: a lease that is held, as enough others say, is kept by one more. Not one that was given back, nor beside others.
constexpr const char* kRestore = R"(
local lock, owner, token, ttl, slots = load(KEYS[2]), ARGV[2], {tonumber(ARGV[3]), tonumber(ARGV[4])}, tonumber(ARGV[5]), tonumber(ARGV[7])
local alone = not lock.leases[owner] and lock.holders < slots
for other, lease in pairs(lock.leases) do alone = alone and lease[1] == slots end
if not alone or not less(lock.e, token) or (slots == 1 and less(token, lock.t)) then return {'held'} end
if less(lock.t, token) then redis.call('HSET', KEYS[2], 't', cmsgpack.pack(token)) end
remember(token)
keep(KEYS[2], owner, {slots, token[1], token[2], tonumber(ARGV[8]), '', now, now + ttl, token[1], token[2]})
will_last(KEYS[2], ttl, tonumber(ARGV[6]))
return {'granted'}
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

redis::Script script(const char* kind, const char* text) { return redis::guarded(std::string(kCommon) + kind + text); }

Scripts of(const char* kind) {
  return {script(kind, kAcquire), script(kind, kUndo), script(kind, kRelease), script(kind, kRenew), script(kind, kForce), script(kind, kLook)};
}

}  // namespace

const Scripts& scripts() {
  static const Scripts all = of(kAlone);
  return all;
}

const VoterScripts& voter_scripts() {
  static const VoterScripts all{of(kVoter), script(kVoter, kSettle), script(kVoter, kRestore)};
  return all;
}

}  // namespace sluice::lock
