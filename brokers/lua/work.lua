-- One turn of a worker process: settle what it finished, promote what is due, fetch what it has
-- slots for.
--
-- args: clock, process, number of the call, how many to fetch, number of queues, the queues,
--       then for each settled delivery: ack | nack | back, queue, id, fetch, reason.
-- Answer: {number of this fetch, ms until the next delayed message is due or -1,
--          {queue, id, value, ...}}; -1 as the number says that this call came before.

-- A level that was passed over so often in a row gets the next pick: starvation-free.
local SHARE = 10
-- A million messages due at once must not block the server: the rest follows in the next call.
local PROMOTED_AT_ONCE = 500
-- Lua's `unpack` ends somewhere below 8,000 values.
local MOST_LENT = 1000

local function promote()
    local budget = PROMOTED_AT_ONCE
    while budget > 0 do
        local first = redis.call("ZRANGE", ns .. ":due", 0, 0, "WITHSCORES")
        if not first[2] then
            return -1
        end
        if tonumber(first[2]) > now then
            return tonumber(first[2]) - now
        end
        local queue = first[1]
        local ids = redis.call("ZRANGE", key(queue, "delayed"), "-inf", now, "BYSCORE", "LIMIT", 0, budget)
        for _, id in ipairs(ids) do
            wait_last(queue, id, read_header(redis.call("HGET", key(queue, "values"), id)))
            redis.call("ZREM", key(queue, "delayed"), id)
        end
        note_next_due(queue)
        budget = budget - #ids - 1
    end
    return 0
end


-- Of the call that runs now.
local process, served, room, number, found

-- How many more messages of the queue may be leased now.
local function room_in(queue)
    if not served[queue] then
        return 0
    end
    if not room[queue] then
        local rules = redis.call("HMGET", ns .. ":rules", "paused:" .. queue, "limit:" .. queue)
        room[queue] = math.huge
        if rules[1] then
            room[queue] = 0
        elseif rules[2] then
            room[queue] = tonumber(rules[2]) - redis.call("HLEN", key(queue, "leased"))
        end
    end
    return room[queue]
end

-- The least served queue that may be served at a level, and whether it has rivals.
local function least_served(level)
    local start = 0
    while true do
        local queues = redis.call("ZRANGE", ns .. ":ready:" .. level, start, start + 15)
        for _, queue in ipairs(queues) do
            if room_in(queue) > 0 then
                return queue, start > 0 or #queues > 1
            end
        end
        if #queues < 16 then
            return nil
        end
        start = start + 16
    end
end

-- `popped`: ids and turns in pairs. Answers how many were lent.
local function lend(queue, level, popped)
    if number == 0 then
        number = redis.call("INCR", ns .. ":fetches")
    end
    local ids, leases = {}, {}
    for i = 1, #popped, 2 do
        ids[#ids + 1] = popped[i]
    end
    local values = redis.call("HMGET", key(queue, "values"), unpack(ids))
    local lease_start = process .. " " .. number .. " " .. level .. " "
    local lease_end = string.format(" %.0f", now)
    for i, id in ipairs(ids) do
        if values[i] then
            leases[#leases + 1] = id
            leases[#leases + 1] = lease_start .. popped[2 * i] .. lease_end
            found[#found + 1] = queue
            found[#found + 1] = id
            found[#found + 1] = values[i]
        else
            count(queue, "deleted")
        end
    end
    if #leases > 0 then
        redis.call("HSET", key(queue, "leased"), unpack(leases))
    end
    local lent = #leases / 2
    room[queue] = room[queue] - lent
    return lent
end

-- Lend up to `most` messages of a level, but one at a time where queues take turns.
local function take(level, most)
    while true do
        local queue, has_rivals = least_served(level)
        if not queue then
            return 0
        end
        local ready = ns .. ":ready:" .. level
        local number_wanted = has_rivals and 1 or math.min(most, room_in(queue))
        local popped = redis.call("ZPOPMIN", key(queue, "waiting:" .. level), number_wanted)
        if #popped == 0 then
            redis.call("ZREM", ready, queue)
        else
            local lent = lend(queue, level, popped)
            if lent > 0 then
                redis.call("ZINCRBY", ready, lent, queue)
                return lent
            end
        end
    end
end

local function fetch(want)
    local ready = ns .. ":ready:"
    if redis.call("EXISTS", ready .. 0, ready .. 1, ready .. 2, ready .. 3) == 0 then
        return 0 -- an idle process costs few commands
    end
    local has, passed, has_changed = {}, {}, false
    local counts = redis.call("HMGET", ns .. ":passed", 1, 2, 3)
    for level = 0, 3 do
        has[level] = redis.call("EXISTS", ready .. level) == 1
        passed[level] = tonumber(counts[level] or 0)
    end

    -- How many of a level may be picked in a row until a lower one has its share.
    local function row(level)
        local most = want
        for lower = level + 1, 3 do
            if has[lower] then
                most = math.min(most, SHARE - 1 - passed[lower])
            end
        end
        return most
    end

    local function pick(most)
        for level = 3, 1, -1 do
            if has[level] and passed[level] >= SHARE - 1 then
                passed[level], has_changed = 0, true
                if take(level, 1) == 1 then
                    return 1
                end
                has[level] = false
            end
        end
        for level = 0, 3 do
            local taken = has[level] and take(level, math.min(most, row(level))) or 0
            if taken > 0 then
                has_changed = has_changed or passed[level] > 0
                passed[level] = 0
                for lower = level + 1, 3 do
                    if has[lower] then
                        has_changed = true
                        passed[lower] = passed[lower] + taken
                    end
                end
                return taken
            end
            has[level] = false
        end
        return 0
    end

    local picked = 0
    while picked < want do
        local taken = pick(want - picked)
        if taken == 0 then
            break
        end
        picked = picked + taken
    end
    if has_changed then
        redis.call("HSET", ns .. ":passed", 1, passed[1], 2, passed[2], 3, passed[3])
    end
    return picked
end

-- This process is busy now; if more is waiting or delayed, another one should know.
local function wake_another(due_in)
    for level = 0, 3 do
        local queue = least_served(level)
        if queue then
            wake(queue)
            break
        end
    end
    if due_in >= 0 then
        wake(redis.call("ZRANGE", ns .. ":due", 0, 0)[1])
    end
end

define("work", true, function(args)
    process, served, room, number, found = args[2], {}, {}, 0, {}
    if is_repeated(process, args[3]) then
        return { -1, -1, found }
    end
    local want = math.min(tonumber(args[4]), MOST_LENT)
    local last_queue = 5 + tonumber(args[5])
    for i = 6, last_queue do
        served[args[i]] = true
    end
    for i = last_queue + 1, #args, 5 do
        settle[args[i]](args[i + 1], args[i + 2], process, args[i + 3], args[i + 4])
    end
    local due_in = promote()
    if want > 0 and fetch(want) == want then
        wake_another(due_in)
    end
    return { number, due_in, found }
end)
