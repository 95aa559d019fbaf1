-- Write the next version of a merge train, with its events, wakes, and the lease of its candidate's host.
--
-- KEYS  1 train, 2 events, 3 seq, 4 outbox, 5 leases
-- ARGV  1 order (JSON): expected, version, fence, lease, ttl (ms; 0 ends the lease), wakes, grace (ms), events_kept
--       2 the train's JSON, 3.. the events' JSON
-- Returns 'ok', or 'stale' where the train is not at the expected version. A repeat writes nothing and is 'ok'.
local order = cjson.decode(ARGV[1])
local found = redis.call('HMGET', KEYS[1], 'v', 'd')
local version = tonumber(found[1] or 0)
if version ~= order.expected then
  if version == order.version and found[2] == ARGV[2] then return 'ok' end
  return 'stale'
end
redis.call('HSET', KEYS[1], 'v', order.version, 'f', order.fence, 'd', ARGV[2])
if order.ttl > 0 then
  redis.call('ZADD', KEYS[5], now_ms() + order.ttl, order.lease)
else
  redis.call('ZREM', KEYS[5], order.lease)
end
for i = 3, #ARGV do tell(KEYS[2], KEYS[3], ARGV[i], order.events_kept) end
stage(KEYS[4], order.wakes, order.grace)
return 'ok'
