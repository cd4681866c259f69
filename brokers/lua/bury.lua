-- Put a refused message straight into the dead letters; it never waited.
--
-- args: clock, queue, id, value, reason. Answer: 1, or 0 if the queue knows the id already.

define("bury", false, function(args)
    local queue, id, value, reason = args[2], args[3], args[4], args[5]
    know_queue(queue)
    if redis.call("HSETNX", ns .. ":values", queue .. "/" .. id, value) == 0 then
        return 0
    end
    count(queue, "enqueued")
    bury(queue, id, read_header(value).unique, reason)
    return 1
end)
