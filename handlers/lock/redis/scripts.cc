#include "handlers/lock/redis/scripts.h"

#include "handlers/lock/redis/script_texts.h"

namespace sluice::lock {
namespace {

// Tokens are a counter; of an owner's requests the last one is remembered.
constexpr const char* kAlone = R"(
local function proposal() end
local function next_token()
  local counter = redis.call('HINCRBY', KEYS[1], 'counter', 1)
  return {tonumber(server[2]), counter}
end

local function take_back(key, nonce, remember) redis.call('SET', key, '', 'PX', remember) end
local function taken_back(nonce) return redis.call('EXISTS', KEYS[2]) == 1 end
local function was_left(lease, nonce) return false end
local function outrun(lock, proposed) end

local function begin(lock, slots, token, nonce, ends) return {slots, token[1], token[2], 1, nonce, now, ends} end
local function enter(lease, nonce)
  if lease[5] ~= nonce then lease[4] = lease[4] + 1 end
  lease[5] = nonce
end
local function leave(lease, nonce)
  if lease[5] ~= nonce then return false end
  lease[4], lease[5] = lease[4] - 1, ''
  return true
end
local function ended(key, lock, lease) end
local function retracted(key, lock, lease) end

local function granted(lock, lease) return {lease[2], lease[3], lease[4], lease[7] - now} end
local function kept(lock, lease) return {'kept', lease and 1 or 0, lease and lease[4] or 0, lock.t[1], lock.t[2]} end
local function seen(lock)
  local holders = {}
  for owner, lease in pairs(lock.leases) do holders[#holders + 1] = told(owner, lease) end
  return {lock.t[1], lock.t[2], holders}
end
)";

constexpr const char* kRelease = R"(
local lock = load(KEYS[2])
local lease = mine(lock, ARGV[2], ARGV[3], ARGV[4])
if not lease then return kept(lock, nil) end
lease[4] = lease[4] - 1
if lease[4] == 0 then
  redis.call('HDEL', KEYS[2], 'o' .. ARGV[2])
  redis.call('PUBLISH', ARGV[5], '')
else
  keep(KEYS[2], ARGV[2], lease)
end
return kept(lock, lease)
)";

redis::Script alone(const char* body) { return lease_script(kAlone, body); }

}  // namespace

const Scripts& scripts() {
  static const Scripts all{alone(kAcquire), alone(kUndo), alone(kRelease), alone(kRenew), alone(kForce), alone(kLook)};
  return all;
}

}  // namespace sluice::lock
