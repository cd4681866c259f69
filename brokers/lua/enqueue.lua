-- Enqueue messages: new ones, and leased ones that a worker sends again (retry, deferral).
--
-- ARGV: clock, sender, number of the call, then for each message
--       queue, id, delay in ms, claim, value.
-- claim: "" for a new message, "<process> <fetch>" for a leased one that is sent again,
--        "upgrade" to put a stronger request's value in place of the one that holds the unique key.
-- Answer for each message: 0 taken; 1 known already, nothing changed;
--        {id, run, weaker} coalesced with the holder of the unique key, weaker = 1 if the holder
--        still waits and asks for less, so that an upgrade would help.

local function place(queue, id, delay_ms, header)
    if delay_ms > 0 then
        delay(queue, id, now + delay_ms)
    else
        wait_last(queue, id, header)
    end
end

local function hold_unique(queue, id, header)
    if header.unique ~= "-" then
        local holder = table.concat({ queue, header.strength, header.run, id }, " ")
        redis.call("HSET", ns .. ":unique", header.unique, holder)
    end
end

local function set_level(value, level)
    return level .. string.sub(value, 2)
end

-- A more urgent duplicate makes the holder as urgent, wherever it waits. A delayed one keeps its
-- delay, which may be a Retry-After, unless the duplicate is urgent. Answers whether it waits at all.
local function hurry(queue, id, level)
    local values = key(queue, "values")
    local value = redis.call("HGET", values, id)
    local header = read_header(value)
    local waiting = key(queue, "waiting:" .. header.level)
    local is_delayed = redis.call("ZSCORE", key(queue, "delayed"), id)
    if not is_delayed and not redis.call("ZSCORE", waiting, id) then
        return false
    end
    if level < header.level then
        header.level = level
        redis.call("HSET", values, id, set_level(value, level))
        if not is_delayed then
            redis.call("ZREM", waiting, id)
            wait_last(queue, id, header)
        end
    end
    if is_delayed and level == 0 then
        redis.call("ZREM", key(queue, "delayed"), id)
        note_next_due(queue)
        wait_last(queue, id, header)
    end
    return true
end

local function coalesce(queue, id, header)
    if header.unique == "-" then
        return nil
    end
    local held_queue, held_strength, run, held_id = parse_holder(redis.call("HGET", ns .. ":unique", header.unique))
    if not held_queue or held_id == id or redis.call("HEXISTS", key(held_queue, "values"), held_id) == 0 then
        return nil
    end
    count(queue, "enqueued")
    count(queue, "coalesced")
    local waits = hurry(held_queue, held_id, header.level)
    local weaker = (waits and header.strength > tonumber(held_strength)) and 1 or 0
    return { held_id, run, weaker }
end

local function upgrade(queue, id, value, header)
    local values = key(queue, "values")
    if redis.call("HEXISTS", values, id) == 0 or not hurry(queue, id, header.level) then
        return 1
    end
    local level = math.min(header.level, read_header(redis.call("HGET", values, id)).level)
    redis.call("HSET", values, id, set_level(value, level))
    hold_unique(queue, id, header)
    return 0
end

local function put_back(queue, id, delay_ms, value, header)
    redis.call("HSET", key(queue, "values"), id, value)
    hold_unique(queue, id, header)
    place(queue, id, delay_ms, header)
end

local function send_again(queue, id, delay_ms, claim, value, header)
    local process, fetch = string.match(claim, "^(%S+) (%S+)$")
    if not end_lease(queue, id, process, fetch) then
        return false
    end
    put_back(queue, id, delay_ms, value, header)
    count(queue, "retried")
    wake_if_limited(queue)
    return true
end

local function revive(queue, id, delay_ms, value, header)
    if redis.call("ZREM", key(queue, "dead"), id) == 0 then
        return false
    end
    redis.call("HDEL", key(queue, "reasons"), id)
    put_back(queue, id, delay_ms, value, header)
    return true
end

local function enqueue(queue, id, delay_ms, claim, value)
    local header = read_header(value)
    if claim == "upgrade" then
        return upgrade(queue, id, value, header)
    end
    if claim ~= "" and send_again(queue, id, delay_ms, claim, value, header) then
        return 0
    end
    local coalesced = coalesce(queue, id, header)
    if coalesced then
        return coalesced
    end
    if redis.call("HSETNX", key(queue, "values"), id, value) == 1 then
        hold_unique(queue, id, header)
        place(queue, id, delay_ms, header)
        count(queue, "enqueued")
        return 0
    end
    if revive(queue, id, delay_ms, value, header) then
        return 0
    end
    count(queue, "repeated")
    return 1
end

local answers = {}
if is_repeated(ARGV[2], ARGV[3]) then
    for i = 4, #ARGV, 5 do
        answers[#answers + 1] = 1
    end
    return answers
end
local known = {}
for i = 4, #ARGV, 5 do
    local queue = ARGV[i]
    if not known[queue] then
        known[queue] = true
        redis.call("SADD", ns .. ":queues", queue)
    end
    answers[#answers + 1] = enqueue(queue, ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4])
end
save()
return answers
