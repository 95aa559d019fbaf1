-- A named, time-limited right with one holder at a time; whoever is refused leaves a mark for the holder to see when it
-- gives the right back, however often it was renewed in between.
--
-- KEYS  1 right (hash: token of its holder, marked when somebody was refused)
-- ARGV  1 'acquire' or 'release', 2 token, 3 ttl (ms)
-- Returns for 'acquire' 1 or 0; for 'release' 1 where the mark was left (look again), else 0.
local found = redis.call('HMGET', KEYS[1], 'token', 'marked')
if ARGV[1] == 'acquire' then
  if found[1] and found[1] ~= ARGV[2] then
    redis.call('HSET', KEYS[1], 'marked', '1')
    return 0
  end
  redis.call('HSET', KEYS[1], 'token', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return 1
end
if found[1] ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
return found[2] and 1 or 0
