#!lua flags=allow-oom
-- Put a halt in force, or lift some; durable first, then told to every listener. The kill switch works out of memory.
--
-- KEYS  1 halts, 2 epochs, 3 events, 4 seq, 5 nudge (channel)
-- ARGV  1 'add' or 'lift', 2 the event's JSON, 3 events_kept; then for 'add': field, the halt's JSON with epoch 0;
--       for 'lift': fields, or none for all
-- Returns for 'add' the epoch; for 'lift' what was lifted as field, value, ...
if ARGV[1] == 'add' then
  local epoch = redis.call('INCR', KEYS[2])
  redis.call('HSET', KEYS[1], ARGV[4], (string.gsub(ARGV[5], '"epoch":0', '"epoch":' .. epoch, 1)))
  tell(KEYS[3], KEYS[4], ARGV[2], ARGV[3])
  redis.call('PUBLISH', KEYS[5], 'halt')
  return epoch
end
local fields = {unpack(ARGV, 4)}
if #fields == 0 then fields = redis.call('HKEYS', KEYS[1]) end
local lifted = {}
for _, field in ipairs(fields) do
  local text = redis.call('HGET', KEYS[1], field)
  if text then
    lifted[#lifted + 1] = field
    lifted[#lifted + 1] = text
    redis.call('HDEL', KEYS[1], field)
  end
end
if #lifted > 0 then
  tell(KEYS[3], KEYS[4], ARGV[2], ARGV[3])
  redis.call('PUBLISH', KEYS[5], 'resume')
end
return lifted
