-- One turn of a worker process: settle what it finished, promote what is due, fetch what it has
-- slots for.
--
-- ARGV: clock, process, number of the call, how many to fetch, number of queues, the queues,
--       then for each settled delivery: ack | nack | back, queue, id, fetch, reason.
-- Answer: {number of this fetch, ms until the next delayed message is due or -1,
--          {queue, id, value, ...}}; -1 as the number says that this call came before.

-- A level that was passed over so often in a row gets the next pick: starvation-free.
local SHARE = 10
-- A million messages due at once must not block the server: the rest follows in the next call.
local PROMOTED_AT_ONCE = 500

local process = ARGV[2]
if is_repeated(process, ARGV[3]) then
    return { -1, -1, {} }
end
local want = tonumber(ARGV[4])
local first_queue, last_queue = 6, 5 + tonumber(ARGV[5])

for i = last_queue + 1, #ARGV, 5 do
    settle[ARGV[i]](ARGV[i + 1], ARGV[i + 2], process, ARGV[i + 3], ARGV[i + 4])
end

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
            local level, bias, fair = parse(redis.call("HGET", key(queue, "values"), id))
            wait_last(queue, id, level, bias, fair)
            redis.call("ZREM", key(queue, "delayed"), id)
        end
        note_next_due(queue)
        budget = budget - #ids - 1
    end
    return 0
end

local due_in = promote()

local served = {}
for i = first_queue, last_queue do
    served[ARGV[i]] = true
end

-- How many more messages of the queue may be leased now.
local room = {}
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

local function least_served(level)
    local start = 0
    while true do
        local queues = redis.call("ZRANGE", ns .. ":ready:" .. level, start, start + 15)
        for _, queue in ipairs(queues) do
            if room_in(queue) > 0 then
                return queue
            end
        end
        if #queues < 16 then
            return nil
        end
        start = start + 16
    end
end

local number = 0
local found = {}

local function lend(queue, level, id, turn)
    local value = redis.call("HGET", key(queue, "values"), id)
    if not value then
        count(queue, "deleted")
        return false
    end
    if number == 0 then
        number = redis.call("INCR", ns .. ":fetches")
    end
    redis.call("HSET", key(queue, "leased"), id, table.concat({ process, number, level, turn, now }, " "))
    room[queue] = room[queue] - 1
    found[#found + 1] = queue
    found[#found + 1] = id
    found[#found + 1] = value
    return true
end

local function take(level)
    while true do
        local queue = least_served(level)
        if not queue then
            return false
        end
        local first = redis.call("ZPOPMIN", key(queue, "waiting:" .. level))
        if not first[1] then
            redis.call("ZREM", ns .. ":ready:" .. level, queue)
        elseif lend(queue, level, first[1], first[2]) then
            redis.call("ZINCRBY", ns .. ":ready:" .. level, 1, queue)
            return true
        end
    end
end

local passed = {}
local function fetch()
    local ready = ns .. ":ready:"
    if redis.call("EXISTS", ready .. 0, ready .. 1, ready .. 2, ready .. 3) == 0 then
        return 0 -- an idle process costs few commands
    end
    local has = {}
    for level = 0, 3 do
        has[level] = redis.call("EXISTS", ready .. level) == 1
    end
    local counts = redis.call("HMGET", ns .. ":passed", 1, 2, 3)
    for level = 1, 3 do
        passed[level] = tonumber(counts[level] or 0)
    end

    local function pick()
        for level = 3, 1, -1 do
            if has[level] and passed[level] >= SHARE - 1 then
                passed[level] = 0
                if take(level) then
                    return true
                end
                has[level] = false
            end
        end
        for level = 0, 3 do
            if has[level] then
                if take(level) then
                    passed[level] = 0
                    for lower = level + 1, 3 do
                        if has[lower] then
                            passed[lower] = passed[lower] + 1
                        end
                    end
                    return true
                end
                has[level] = false
            end
        end
        return false
    end

    local picked = 0
    while picked < want and pick() do
        picked = picked + 1
    end
    redis.call("HSET", ns .. ":passed", 1, passed[1], 2, passed[2], 3, passed[3])
    return picked
end

if want > 0 and last_queue >= first_queue and fetch() == want then
    -- This process is busy now; if more is waiting or delayed, another one should know.
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

save()
return { number, due_in, found }
