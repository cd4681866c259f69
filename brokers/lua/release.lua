-- A run that has come to its verdict stands for later requests no more, though its message is
-- settled a moment later.
--
-- args: clock, unique key, run. Answer: 1 if the run held the key.
define("release", true, function(args)
    local _, _, run = parse_holder(redis.call("HGET", ns .. ":unique", args[2]))
    return run == args[3] and redis.call("HDEL", ns .. ":unique", args[2]) or 0
end)
