-- Put a refused message straight into the dead letters; it never waited.
--
-- ARGV: clock, queue, id, value, reason. Answer: 1, or 0 if the queue knows the id already.

local queue, id, value = ARGV[2], ARGV[3], ARGV[4]
redis.call("SADD", ns .. ":queues", queue)
if redis.call("HSETNX", key(queue, "values"), id, value) == 0 then
    return 0
end
count(queue, "enqueued")
bury(queue, id, value, ARGV[5])
save()
return 1
