-- A worker process tells who it is, and has a lease from now on.
--
-- args: clock, process, its record, how long the lease lasts (ms). Answer: 1.
--
-- A function and not two commands, because a worker must be able to start at maxmemory: what it
-- does then is what makes room.

define("register", true, function(args)
    redis.call("SET", ns .. ":process:" .. args[2], args[3], "PX", args[4])
    redis.call("SADD", ns .. ":processes", args[2])
    return 1
end)
