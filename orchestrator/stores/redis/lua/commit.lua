-- Commit one change of one task: its next version, its event and its wakes, together or not at all.
--
-- KEYS  as `write` in prelude.lua has them
-- ARGV  1 order (JSON): id, expected (version, 0 for a new task), version, state, fence, created (ms), moves,
--         ends_lease, ends_scope, expired_only, lease, wakes, grace (ms), events_kept
--       2 the task's JSON   3 the event's JSON
-- Returns 'ok'; 'stale' where the task is not at the expected version; 'alive' where its lease had to have run out
-- and has not. A repeat of a commit that was written (its reply was lost) is 'ok' and writes nothing.
local order = cjson.decode(ARGV[1])
local found = redis.call('HMGET', KEYS[1], 'v', 'd')
local version = tonumber(found[1] or 0)
if version ~= order.expected then
  if version == order.version and found[2] == ARGV[2] then return 'ok' end
  return 'stale'
end
if order.expired_only then
  local ends = redis.call('ZSCORE', KEYS[5], order.lease)
  if ends and tonumber(ends) > now_ms() then return 'alive' end
end
write(KEYS, order, ARGV[2], ARGV[3])
return 'ok'
