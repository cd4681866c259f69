-- Enqueue messages: new ones, and leased ones that a worker sends again (retry, deferral).
--
-- ARGV: clock, sender, number of the call, then for each message
--       queue, id, delay in ms, claim, value.
-- claim: "" for a new message, "<process> <fetch>" for a leased one that is sent again,
--        "upgrade" to put a stronger request's value in place of the one that holds the unique key.
-- Answer for each message: 0 taken; 1 known already, nothing changed;
--        {id, run, weaker} coalesced with the holder of the unique key, weaker = 1 if the holder
--        still waits and asks for less, so that an upgrade would help.

local function place(queue, id, delay_ms, value)
    if delay_ms > 0 then
        delay(queue, id, now + delay_ms)
    else
        local level, bias, fair = parse(value)
        wait_last(queue, id, level, bias, fair)
    end
end

local function hold_unique(queue, id, value)
    local _, _, _, unique, strength, run = parse(value)
    if unique ~= "-" then
        redis.call("HSET", ns .. ":unique", unique, table.concat({ queue, strength, run, id }, " "))
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
    local old_level, bias, fair = parse(value)
    local is_delayed = redis.call("ZSCORE", key(queue, "delayed"), id)
    if not is_delayed and not redis.call("ZSCORE", key(queue, "waiting:" .. old_level), id) then
        return false
    end
    if level < old_level then
        redis.call("HSET", values, id, set_level(value, level))
        if not is_delayed then
            redis.call("ZREM", key(queue, "waiting:" .. old_level), id)
            wait_last(queue, id, level, bias, fair)
        end
    end
    if is_delayed and level == 0 then
        redis.call("ZREM", key(queue, "delayed"), id)
        note_next_due(queue)
        wait_last(queue, id, level, bias, fair)
    end
    return true
end

local function coalesce(queue, id, value)
    local level, _, _, unique, strength = parse(value)
    if unique == "-" then
        return nil
    end
    local held_queue, held_strength, run, held_id = parse_holder(redis.call("HGET", ns .. ":unique", unique))
    if not held_queue or held_id == id or redis.call("HEXISTS", key(held_queue, "values"), held_id) == 0 then
        return nil
    end
    count(queue, "enqueued")
    count(queue, "coalesced")
    local waits = hurry(held_queue, held_id, level)
    local weaker = (waits and strength > tonumber(held_strength)) and 1 or 0
    return { held_id, run, weaker }
end

local function upgrade(queue, id, value)
    local values = key(queue, "values")
    local old = redis.call("HGET", values, id)
    if not old or not hurry(queue, id, parse(value)) then
        return 1
    end
    local level = math.min(parse(redis.call("HGET", values, id)), (parse(value)))
    value = set_level(value, level)
    redis.call("HSET", values, id, value)
    hold_unique(queue, id, value)
    return 0
end

local function send_again(queue, id, delay_ms, claim, value)
    local process, fetch = string.match(claim, "^(%S+) (%S+)$")
    if not end_lease(queue, id, process, fetch) then
        return false
    end
    redis.call("HSET", key(queue, "values"), id, value)
    hold_unique(queue, id, value)
    place(queue, id, delay_ms, value)
    count(queue, "retried")
    wake_if_limited(queue)
    return true
end

local function revive(queue, id, delay_ms, value)
    if redis.call("ZREM", key(queue, "dead"), id) == 0 then
        return false
    end
    redis.call("HDEL", key(queue, "reasons"), id)
    redis.call("HSET", key(queue, "values"), id, value)
    hold_unique(queue, id, value)
    place(queue, id, delay_ms, value)
    return true
end

local function enqueue(queue, id, delay_ms, claim, value)
    if claim == "upgrade" then
        return upgrade(queue, id, value)
    end
    if claim ~= "" and send_again(queue, id, delay_ms, claim, value) then
        return 0
    end
    local coalesced = coalesce(queue, id, value)
    if coalesced then
        return coalesced
    end
    if redis.call("HSETNX", key(queue, "values"), id, value) == 1 then
        hold_unique(queue, id, value)
        place(queue, id, delay_ms, value)
        count(queue, "enqueued")
        return 0
    end
    if revive(queue, id, delay_ms, value) then
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
