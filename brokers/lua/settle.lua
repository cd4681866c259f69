-- How a delivery ends: done, dead, or handed back.

local function ack(queue, id, process, fetch)
    local _, _, unique = end_lease(queue, id, process, fetch)
    if not unique then
        return -- sent again, handed back or given to another worker: not ours to finish
    end
    free_unique(queue, id, unique)
    finished[#finished + 1] = queue .. "/" .. id
    count(queue, "done")
    wake_if_limited(queue)
end

local function nack(queue, id, process, fetch, reason)
    local _, _, unique = end_lease(queue, id, process, fetch)
    if unique then
        bury(queue, id, unique, reason)
        wake_if_limited(queue)
    end
end

-- Its turn is over already, so keeping it puts the message at the head, in the old order.
local function hand_back(queue, id, process, fetch)
    local level, turn = end_lease(queue, id, process, fetch)
    if level then
        wait_at(queue, id, level, turn)
    end
end

local function leases_of(process)
    local found, all = {}, redis.call("HGETALL", ns .. ":leased")
    for i = 1, #all, 2 do
        local owner, fetch = string.match(all[i + 1], "^(%S+) (%S+)")
        if owner == process then
            local queue, id = string.match(all[i], "^([^/]+)/(.*)$")
            found[#found + 1] = { queue = queue, id = id, fetch = fetch }
        end
    end
    return found
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
