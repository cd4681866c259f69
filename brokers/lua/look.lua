-- What operators look at, each in one call: a message that moves meanwhile is never seen nowhere,
-- and, unlike MULTI, it is answered at maxmemory too.

-- args: clock, queue. Answer: waiting (4 levels), delayed, leased, dead, and of the ledger
-- enqueued, done, coalesced, deleted.
define("count", true, function(args)
    local queue, answer = args[2], {}
    for level = 0, 3 do
        answer[level + 1] = redis.call("ZCARD", key(queue, "waiting:" .. level))
    end
    answer[5] = redis.call("ZCARD", key(queue, "delayed"))
    answer[6] = tonumber(read_count(queue .. "/leased") or 0)
    answer[7] = redis.call("ZCARD", key(queue, "dead"))
    for i, what in ipairs({ "enqueued", "done", "coalesced", "deleted" }) do
        answer[7 + i] = tonumber(read_count(queue .. "/" .. what) or 0)
    end
    return answer
end)

-- args: clock, unique key. Answer: {} if no message holds it, else {queue, id, place, ...}:
-- "waiting", level, how many are ahead; "leased", process; "delayed", due in ms.
define("find", true, function(args)
    local queue, _, _, _, id = parse_holder(redis.call("HGET", ns .. ":unique", args[2]))
    if not queue then
        return {}
    end
    local ahead = 0
    for level = 0, 3 do
        local waiting = key(queue, "waiting:" .. level)
        local rank = redis.call("ZRANK", waiting, id)
        if rank then
            return { queue, id, "waiting", level, ahead + rank }
        end
        ahead = ahead + redis.call("ZCARD", waiting)
    end
    local lease = redis.call("HGET", ns .. ":leased", queue .. "/" .. id)
    if lease then
        return { queue, id, "leased", string.match(lease, "^%S+") }
    end
    local due = redis.call("ZSCORE", key(queue, "delayed"), id)
    return due and { queue, id, "delayed", math.max(0, tonumber(due) - now) } or {}
end)
