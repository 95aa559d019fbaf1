-- Shared by the scripts beside it; put in front of each when it is loaded.

-- Unix time in milliseconds, by the server's own clock.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Append an event (its JSON without seq) under the next number.
local function tell(events, seq, text, limit)
  local number = redis.call('INCR', seq)
  redis.call('XADD', events, 'MAXLEN', '~', limit, number .. '-0', 'e', text)
end

-- Stage wakes: a list of {delay in ms, member}. One that is not delayed is sent at once by its author; it stays
-- here for `grace` ms in case the author dies before the broker has it. Of equal wakes the earliest time stays.
local function stage(outbox, wakes, grace)
  local now = now_ms()
  for _, wake in ipairs(wakes) do
    local delay = wake[1]
    if delay == 0 then delay = grace end
    redis.call('ZADD', outbox, 'LT', now + delay, wake[2])
  end
end

-- Write the next version of a task with its event and its wakes, and give back what its new state may not hold.
-- KEYS: 1 task, 2 events, 3 seq, 4 outbox, 5 leases, 6 index of the state it leaves, 7 index of the state it enters,
--       8 slots of its host, 9 scopes held in the repository, 10.. the nodes of its scope locks.
local function write(keys, order, doc, event)
  redis.call('HSET', keys[1], 'v', order.version, 's', order.state, 'f', order.fence, 'd', doc)
  if order.moves then
    redis.call('ZREM', keys[6], order.id)
    redis.call('ZADD', keys[7], order.created, order.id)
  end
  if order.ends_lease then
    redis.call('ZREM', keys[5], order.lease)
    redis.call('SREM', keys[8], order.id)
  end
  if order.ends_scope then
    redis.call('HDEL', keys[9], order.id)
    for i = 10, #keys do redis.call('SREM', keys[i], order.id) end
  end
  tell(keys[2], keys[3], event, order.events_kept)
  stage(keys[4], order.wakes, order.grace)
end
