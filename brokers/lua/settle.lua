-- How a delivery ends: done, dead, or handed back.

local function ack(queue, id, process, fetch)
    if not end_lease(queue, id, process, fetch) then
        return -- sent again, handed back or given to another worker: not ours to finish
    end
    local values = key(queue, "values")
    free_unique(queue, id, redis.call("HGET", values, id))
    redis.call("HDEL", values, id)
    count(queue, "done")
    wake_if_limited(queue)
end

local function nack(queue, id, process, fetch, reason)
    if not end_lease(queue, id, process, fetch) then
        return
    end
    bury(queue, id, redis.call("HGET", key(queue, "values"), id), reason)
    wake_if_limited(queue)
end

-- Its turn is over already, so keeping it puts the message at the head, in the old order.
local function hand_back(queue, id, process, fetch)
    local level, turn = end_lease(queue, id, process, fetch)
    if level then
        wait_at(queue, id, level, turn)
    end
end

local function leases_of(process)
    local leases = {}
    for _, queue in ipairs(redis.call("SMEMBERS", ns .. ":queues")) do
        local leased = redis.call("HGETALL", key(queue, "leased"))
        for i = 1, #leased, 2 do
            local owner, fetch = string.match(leased[i + 1], "^(%S+) (%S+)")
            if owner == process then
                leases[#leases + 1] = { queue = queue, id = leased[i], fetch = fetch }
            end
        end
    end
    return leases
end

local function forget_process(process)
    redis.call("SREM", ns .. ":processes", process)
    redis.call("DEL", ns .. ":process:" .. process, ns .. ":nudge:" .. process)
    -- It may have been woken for a message that it did not fetch any more.
    for level = 0, 3 do
        for _, queue in ipairs(redis.call("ZRANGE", ns .. ":ready:" .. level, 0, -1)) do
            wake(queue)
        end
    end
end

local settle = { ack = ack, nack = nack, back = hand_back }
