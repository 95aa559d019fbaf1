-- Write new tasks, each with its event and its wakes: all of them or none.
--
-- KEYS  for each task: 9 keys as `write` in prelude.lua has them, then the dependents of each task that it depends on
-- ARGV  1 orders (JSON list): each as commit.lua has it, and depends, the number of tasks that it depends on
--       then for each task: its JSON, its event's JSON
-- Returns 'ok', or 'stale' where one of them is there already. A repeat of what was written is 'ok' and writes nothing.
local orders = cjson.decode(ARGV[1])
local first, there = 0, 0
for i, order in ipairs(orders) do
  local doc = redis.call('HGET', KEYS[first + 1], 'd')
  if doc and doc ~= ARGV[2 * i] then return 'stale' end
  if doc then there = there + 1 end
  first = first + 9 + order.depends
end
if there == #orders then return 'ok' end
if there > 0 then return 'stale' end

first = 0
for i, order in ipairs(orders) do
  write({unpack(KEYS, first + 1, first + 9)}, order, ARGV[2 * i], ARGV[2 * i + 1])
  for j = 1, order.depends do redis.call('SADD', KEYS[first + 9 + j], order.id) end
  first = first + 9 + order.depends
end
return 'ok'
