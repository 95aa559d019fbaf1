-- Claim an attempt for a queued task, all or nothing: version, halts, host, slot and every node of its scope.
--
-- Scope locks are multi-granularity locks on the path tree (Gray 1976): a lock set at the literal prefix of each
-- pattern, an intention set at each ancestor. What might meet this scope is then: locks at the prefixes and above,
-- intentions at the prefixes. The cost is the depth of the paths, whatever else is held.
--
-- KEYS  1..9 as `write` in prelude.lua has them, 10 halts, 11 hosts,
--       then `own` lock nodes, `own` intention nodes, `above` lock nodes, `above` intention nodes
-- ARGV  1 order (JSON): as commit.lua, and host, slots, ttl (ms), halt_fields (field -> true: those that stop it),
--         reaches (word -> true: those that a name narrows), own, above, cleared (task id -> patterns of a
--         holder that were compared and do not meet), patterns (JSON text)
--       2 the task's JSON   3 the event's JSON
-- Returns {'ok'}, {'moved'}, {'halted'}, {'no_host'}, {'no_slot'}, or {'holders', id, patterns, ...}: to be compared.
local order = cjson.decode(ARGV[1])
local found = redis.call('HMGET', KEYS[1], 'v', 'd')
if tonumber(found[1] or 0) ~= order.expected then
  if found[2] == ARGV[2] then return {'ok'} end
  return {'moved'}
end
for _, field in ipairs(redis.call('HKEYS', KEYS[10])) do
  -- A field that is not REACH:NAME was set by hand, and halts the fleet.
  if order.halt_fields[field] or not order.reaches[field:match('^(%l+):.')] then return {'halted'} end
end
if redis.call('HEXISTS', KEYS[11], order.host) == 0 then return {'no_host'} end
if redis.call('SCARD', KEYS[8]) >= order.slots then return {'no_slot'} end

local own, above, first = order.own, order.above, 11
local holders, seen = {'holders'}, {[order.id] = true}
local function look(key)
  for _, id in ipairs(redis.call('SMEMBERS', key)) do
    if not seen[id] then
      seen[id] = true
      local patterns = redis.call('HGET', KEYS[9], id)
      if patterns and patterns ~= order.cleared[id] then
        holders[#holders + 1] = id
        holders[#holders + 1] = patterns
      end
    end
  end
end
for i = 1, 2 * own + above do look(KEYS[first + i]) end
if #holders > 1 then return holders end

for i = 1, own do redis.call('SADD', KEYS[first + i], order.id) end
for i = 1, above do redis.call('SADD', KEYS[first + 2 * own + above + i], order.id) end
redis.call('HSET', KEYS[9], order.id, order.patterns)
redis.call('SADD', KEYS[8], order.id)
redis.call('ZADD', KEYS[5], now_ms() + order.ttl, order.lease)
write({unpack(KEYS, 1, 9)}, order, ARGV[2], ARGV[3])
return {'ok'}
