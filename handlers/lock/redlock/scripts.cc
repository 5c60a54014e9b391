#include "handlers/lock/redlock/scripts.h"

#include "handlers/lock/redis/script_texts.h"

namespace sluice::lock {
namespace {

// Tokens are pairs (epoch, counter), entries are REQUEST:ATTEMPT, and texts of them have one in a line.
constexpr const char* kNames = R"(
local function less(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end

local function lines(text)
  local all = {}
  for line in string.gmatch(text, '[^\n]+') do all[#all + 1] = line end
  return all
end

local function is(entry, nonce) return entry == nonce end
local function one_request(entry, nonce) return string.match(entry, '^(.*):') == string.match(nonce, '^(.*):') end

local function among(text, nonce, matches)
  for line in string.gmatch(text, '[^\n]+') do
    if matches(line, nonce) then return true end
  end
  return false
end

local function given_back(lock, lease) return lease[11] == '' and lock.e[3] or lock.e[3] .. '\n' .. lease[11] end
)";

constexpr const char* kTokens = R"(
local function remember(token)
  if less({tonumber(server[2]), tonumber(server[5] or 0)}, token) then
    redis.call('HSET', KEYS[1], 'epoch', token[1], 'counter', string.format('%.0f', token[2]))
    server[2], server[5] = token[1], token[2]
  end
end

local function proposal(epoch, counter) return {math.max(tonumber(epoch), tonumber(server[2])), tonumber(counter)} end

-- The proposed one, unless a higher one is known for the name; or, when the name was forgotten, for any.
local function next_token(lock, proposed)
  local last, token = lock.t, proposed
  if last[1] == 0 and last[2] == 0 then last = {tonumber(server[2]), tonumber(server[5] or 0)} end
  if not less(last, token) then token = {last[1], last[2] + 1} end
  remember(token)
  return token
end
)";

constexpr const char* kEntering = R"(
-- What was proposed before something that was given back here may itself have been given back elsewhere.
local function outrun(lock, proposed)
  local e = lock.e
  local last = {e[4] or e[1], e[5] or e[2]}
  return not less(last, proposed) and last or nil
end

local function taken_back(nonce)
  local mark = redis.call('GET', KEYS[2])
  return mark and (mark == '' or string.find(mark, '\n' .. string.match(nonce, ':([^:]*)$') .. '\n', 1, true))
end
local function was_left(lease, nonce) return lease[11] ~= '' and among(lease[11], nonce, one_request) end

local function begin(lock, slots, token, nonce, ends) return {slots, token[1], token[2], 1, nonce, now, ends, lock.t[1], lock.t[2], 1, ''} end

-- An attempt takes the place of an earlier one of its request. Answers whether there was one.
local function enter(lease, nonce, proposed)
  local all, at = lines(lease[5]), nil
  for i, entry in ipairs(all) do
    if one_request(entry, nonce) then at = i end
  end
  all[at or #all + 1] = nonce
  lease[4], lease[5] = #all, table.concat(all, '\n')
  lease[8], lease[9] = lease[2], lease[3]
  if less({lease[12] or lease[2], lease[13] or lease[3]}, proposed) then lease[12], lease[13] = proposed[1], proposed[2] end
  return at ~= nil
end
)";

constexpr const char* kLeaving = R"(
local function and_these(text, entries)
  if text == '' and #entries == 1 then return entries[1] end
  local all = lines(text)
  for i, entry in ipairs(entries) do all[#all + 1] = entry end
  return table.concat(all, '\n', math.max(1, #all - 15))
end

local function take_out(lease, nonce, matches)
  local left, out = {}, {}
  for i, entry in ipairs(lease[4] == 1 and {lease[5]} or lines(lease[5])) do
    if matches(entry, nonce) then
      out[#out + 1] = entry
      if i == 1 then lease[10] = 0 end
    else
      left[#left + 1] = entry
    end
  end
  lease[4], lease[5] = #left, table.concat(left, '\n')
  return out
end

-- A whole request (REQUEST:) leaves an empty mark, attempts leave their numbers.
local function take_back(key, nonce, remember)
  local attempt = string.match(nonce, ':([^:]*)$')
  local mark = redis.call('GET', key)
  if attempt == '' or mark == '' then mark = '' else mark = (mark or '\n') .. attempt .. '\n' end
  redis.call('SET', key, mark, 'PX', remember)
end

-- An attempt alone is taken back where it has no part: others may have granted it, so it is not said to be given back.
local function leave(lease, nonce)
  local whole = string.sub(nonce, -1) == ':'
  local out = take_out(lease, nonce, whole and one_request or is)
  if whole then lease[11] = and_these(lease[11], out) end
  return #out > 0
end

local function ended(key, lock, lease)
  local e, last = lock.e, {lease[12] or lease[2], lease[13] or lease[3]}
  local known, later = {e[4] or e[1], e[5] or e[2]}, less(e, {lease[2], lease[3]})
  if less(last, known) then last = known end
  -- Of an exclusive lock an earlier lease can only be one of which somebody missed the end; others than this may go on.
  local gone = lease[1] == 1 and later and lease[11] or and_these(e[3], lines(lease[11]))
  e = later and {lease[2], lease[3], gone} or {e[1], e[2], gone}
  if less(e, last) then e[4], e[5] = last[1], last[2] end
  redis.call('HSET', key, 'e', cmsgpack.pack(e))
end

-- A vote that came to nothing: its token was never given to anyone.
local function retracted(key, lock, lease)
  if lock.t[1] == lease[2] and lock.t[2] == lease[3] then redis.call('HSET', key, 't', cmsgpack.pack({lease[8], lease[9]})) end
end
)";

constexpr const char* kGranted = R"(
local function others(lease, nonce)
  if lease[5] == nonce then return '' end
  local all = {}
  for i, entry in ipairs(lines(lease[5])) do
    if entry ~= nonce then all[#all + 1] = entry end
  end
  return table.concat(all, '\n')
end

local function granted(lock, lease, nonce, existed, again)
  return {lease[2], lease[3], again and 2 or existed and 1 or 0, lease[7] - now, lock.t[1], lock.t[2], lock.e[1], lock.e[2], others(lease, nonce), given_back(lock, lease)}
end
)";

constexpr const char* kKept = R"(
local function kept(lock, lease, taken, gone)
  if not lease then return {'kept', 0, 0, lock.t[1], lock.t[2], 0, '', lock.e[3], ''} end
  return {'kept', 1, lease[4], lock.t[1], lock.t[2], lease[1], lease[5], gone or given_back(lock, lease), taken or ''}
end
)";

constexpr const char* kSeen = R"(
local function seen(lock)
  local holders, gone = {}, lock.e[3]
  for owner, lease in pairs(lock.leases) do
    local holder = told(owner, lease)
    holder[8] = lease[5]
    holders[#holders + 1] = holder
    gone = gone .. '\n' .. lease[11]
  end
  return {lock.t[1], lock.t[2], holders, gone}
end
)";

// A named entry is taken out whatever the lease's token: this master may not have been told the one that others agreed about. Where it
// is not, it may still come.
constexpr const char* kRelease = R"(
local lock, owner, named = load(KEYS[2]), ARGV[2], ARGV[6]
local lease, out = lock.leases[owner], {}
local mine = mine(lock, owner, ARGV[3], ARGV[4])
local before = mine and given_back(lock, mine)
if lease and named then
  out = take_out(lease, named, one_request)
elseif mine and lease[10] == 1 then
  out = take_out(lease, lease[4] == 1 and lease[5] or string.match(lease[5], '[^\n]+'), is)
end
if lease and (#out > 0 or (mine and named)) then
  lease[11] = and_these(lease[11], {named or out[1]})
  if lease[4] > 0 then
    keep(KEYS[2], owner, lease)
  else
    redis.call('HDEL', KEYS[2], 'o' .. owner)
    if mine then ended(KEYS[2], lock, lease) else retracted(KEYS[2], lock, lease) end
    redis.call('PUBLISH', ARGV[5], '')
  end
end
if named and #out == 0 then take_back(KEYS[3], named, ARGV[7]) end
return kept(lock, mine, out[1], before)
)";

// All masters that granted a request come to the same token. A lease that does not go on begins with this entry.
constexpr const char* kSettle = R"(
local owner, nonce, ttl, forget = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local locks = {}
for i = 2, #KEYS do
  locks[i] = load(KEYS[i])
  local lease = locks[i].leases[owner]
  if not lease or not among(lease[5], nonce, is) then return {'gone'} end
end
local answer = {'granted'}
for i = 2, #KEYS do
  local at = 3 * i
  local lock, given, goes_on = locks[i], {tonumber(ARGV[at]), tonumber(ARGV[at + 1])}, ARGV[at + 2] == '1'
  local lease = lock.leases[owner]
  local own = {lease[2], lease[3]}
  local newest = lock.t[1] == own[1] and lock.t[2] == own[2]
  if less(own, given) then
    if not newest and not less(lock.t, given) then given = {lock.t[1], lock.t[2] + 1} end
    remember(given)
    redis.call('HSET', KEYS[i], 't', cmsgpack.pack(given))
  elseif less(given, own) and goes_on then
    -- The owner has held it all the time, and this master did not know: its own token was never given to anyone.
    if newest then redis.call('HSET', KEYS[i], 't', cmsgpack.pack(given)) end
  else
    given = own
  end
  if not goes_on or less(own, given) or less(given, own) then lease[4], lease[5], lease[10], lease[11] = 1, nonce, goes_on and 0 or 1, '' end
  lease[2], lease[3] = given[1], given[2]
  if goes_on then lease[8], lease[9] = given[1], given[2] end
  keep(KEYS[i], owner, lease)
  answer[#answer + 1] = granted(lock, lease, nonce, true, true)
end
return answer
)";

// A lease that is held, as enough others say, is kept by one more. Not what was given back, nor beside others.
constexpr const char* kRestore = R"(
local lock, owner, token, ttl, slots, entries = load(KEYS[2]), ARGV[2], {tonumber(ARGV[3]), tonumber(ARGV[4])}, tonumber(ARGV[5]), tonumber(ARGV[7]), {}
local alone = not lock.leases[owner] and lock.holders < slots
for other, lease in pairs(lock.leases) do alone = alone and lease[1] == slots end
for i, entry in ipairs(lines(ARGV[8])) do
  if not among(lock.e[3], entry, is) then entries[#entries + 1] = entry end
end
if not alone or less(token, lock.e) or #entries == 0 or (slots == 1 and less(token, lock.t)) then return {'held'} end
if less(lock.t, token) then redis.call('HSET', KEYS[2], 't', cmsgpack.pack(token)) end
remember(token)
keep(KEYS[2], owner, {slots, token[1], token[2], #entries, table.concat(entries, '\n'), now, now + ttl, token[1], token[2], 0, ''})
will_last(KEYS[2], ttl, tonumber(ARGV[6]))
return {'granted'}
)";

// With those functions alone that the body needs: each costs a little whenever the script runs.
redis::Script voter(std::initializer_list<const char*> functions, const char* body) {
  std::string all = kNames;
  for (const char* each : functions) all += each;
  return lease_script(all.c_str(), body);
}

}  // namespace

const VoterScripts& voter_scripts() {
  static const VoterScripts all{{voter({kTokens, kEntering, kGranted}, kAcquire), voter({kLeaving}, kUndo), voter({kLeaving, kKept}, kRelease),
                                 voter({kKept}, kRenew), voter({kTokens, kSeen}, kForce), voter({kSeen}, kLook)},
                                voter({kTokens, kGranted}, kSettle),
                                voter({kTokens}, kRestore)};
  return all;
}

}  // namespace sluice::lock
