-- How a delivery ends: done, dead, or handed back.

-- The unique key is free again once its message is done, dead or deleted.
local function free_unique(queue, id, unique)
    if unique == "-" then
        return
    end
    local held_queue, _, _, flags, held_id = parse_holder(redis.call("HGET", ns .. ":unique", unique))
    if held_queue == queue and held_id == id then
        let_go(unique, flags)
    end
end

-- Answers the message's run, "-" for none.
local function delete_value(queue, id)
    local header = read_header(read_value(queue, id))
    free_unique(queue, id, header.unique)
    redis.call("HDEL", ns .. ":values", queue .. "/" .. id)
    return header.run
end

-- The lease ends only for the fetch that took it: a late ack must not settle a later delivery.
-- Answers level, turn and unique key of the message, or nil. `save_ends` makes it so.
local function end_lease(queue, id, process, fetch)
    local field = queue .. "/" .. id
    if leases[field] == nil then
        leases[field] = redis.call("HGET", ns .. ":leased", field)
    end
    local lease, prefix = leases[field], process .. " " .. fetch .. " "
    if not lease or string.sub(lease, 1, #prefix) ~= prefix then
        return nil
    end
    leases[field] = false
    ended[#ended + 1] = field
    count(queue, "leased", -1)
    return string.match(lease, "^%S+ %S+ (%S+) (%S+) %S+ (%S+)$")
end

local function save_ends()
    if #ended > 0 then
        redis.call("HDEL", ns .. ":leased", unpack(ended))
    end
    if #finished > 0 then
        redis.call("HDEL", ns .. ":values", unpack(finished))
    end
    ended, finished = {}, {}
end

local function bury(queue, id, unique, reason)
    count(queue, "died")
    free_unique(queue, id, unique)
    redis.call("ZADD", key(queue, "dead"), now, id)
    redis.call("HSET", key(queue, "reasons"), id, reason)
end

local function read_rules(queue)
    if has_rules == nil then
        has_rules = redis.call("EXISTS", ns .. ":rules") == 1
    end
    return has_rules and redis.call("HMGET", ns .. ":rules", "paused:" .. queue, "limit:" .. queue) or {}
end

-- A freed slot matters to others only where a queue's limit kept them from fetching.
local function wake_if_limited(queue)
    if read_rules(queue)[2] then
        wake_for_all(queue)
    end
end

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
            wake(queue, level)
        end
    end
end

local settle = { ack = ack, nack = nack, back = hand_back }
