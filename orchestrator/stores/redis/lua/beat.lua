-- A host's heartbeat: show that it lives, and renew all its leases in one act.
--
-- KEYS  1 hosts, 2 leases, 3 halts, then one record (task or train) for each lease
-- ARGV  1 host's name, 2 host's JSON, 3 ttl (ms), 4 ttl of its place on the list (ms), then for each lease: its name in `leases`, its fence
-- Returns {numbers of the leases that are not this fence's any more (from 0), halts as field, value, ...}.
local lost, now = {}, now_ms()
local ends = now + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + ARGV[4], 'host:' .. ARGV[1])
for i = 4, #KEYS do
  local lease, fence = ARGV[2 * i - 3], ARGV[2 * i - 2]
  if redis.call('HGET', KEYS[i], 'f') == fence and redis.call('ZSCORE', KEYS[2], lease) then
    redis.call('ZADD', KEYS[2], ends, lease)
  else
    lost[#lost + 1] = i - 4
  end
end
return {lost, redis.call('HGETALL', KEYS[3])}
