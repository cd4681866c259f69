-- Enqueue messages: new ones, and leased ones that a worker sends again (retry, deferral).
--
-- args: clock, sender, number of the call, then for each message
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

-- A message that backs off was sent again with a delay, which a duplicate must not cut short.
local function hold_unique(queue, id, header, backs_off, has_sharers)
    if header.unique ~= "-" then
        local flags = (backs_off and 1 or 0) + (has_sharers and SHARED or 0)
        local holder = table.concat({ queue, header.strength, header.run, flags, id }, " ")
        redis.call("HSET", ns .. ":unique", header.unique, holder)
    end
end

local function has_value(queue, id)
    return redis.call("HEXISTS", ns .. ":values", queue .. "/" .. id) == 1
end

local function set_value(queue, id, value)
    redis.call("HSET", ns .. ":values", queue .. "/" .. id, value)
end

local function read_flags(flags)
    return tonumber(flags or 0) % 2 == 1, is_shared(flags)
end

-- The message that holds a unique key and still exists, unless it is this one.
local function other_holder(unique, id)
    if unique == "-" then
        return nil
    end
    local queue, strength, run, flags, held_id = parse_holder(redis.call("HGET", ns .. ":unique", unique))
    if not queue or held_id == id or not has_value(queue, held_id) then
        return nil
    end
    local backs_off, has_sharers = read_flags(flags)
    return {
        queue = queue,
        strength = tonumber(strength),
        run = run,
        backs_off = backs_off,
        has_sharers = has_sharers,
        id = held_id,
    }
end

-- Somebody else counts on the holder, too: it must not be withdrawn with its batch alone.
local function share(unique, holder, fair)
    add_sharer(unique, holder.id, fair, not holder.has_sharers)
    if not holder.has_sharers then
        holder.unique = unique
        hold_unique(holder.queue, holder.id, holder, holder.backs_off, true)
    end
end

local function set_level(value, level)
    return level .. string.sub(value, 2)
end

-- A more urgent duplicate makes the holder as urgent, and an earlier one as early, wherever it waits.
-- One that backs off keeps its delay unless the duplicate is urgent. Answers whether it waits at all.
local function hurry(queue, id, level, delay_ms, backs_off)
    local value = read_value(queue, id)
    local header = read_header(value)
    local waiting = key(queue, "waiting:" .. header.level)
    local is_delayed = redis.call("ZSCORE", key(queue, "delayed"), id)
    if not is_delayed and not redis.call("ZSCORE", waiting, id) then
        return false
    end
    if level < header.level then
        header.level = level
        set_value(queue, id, set_level(value, level))
        if not is_delayed then
            redis.call("ZREM", waiting, id)
            wait_last(queue, id, header)
        end
    end
    if is_delayed and (level == 0 or not backs_off) then
        local due = level == 0 and now or math.min(tonumber(is_delayed), now + delay_ms)
        redis.call("ZREM", key(queue, "delayed"), id)
        note_next_due(queue)
        place(queue, id, due - now, header)
    end
    return true
end

-- A stronger request than the one that runs is no duplicate: it waits for its turn, and holds the key.
local function coalesce(queue, id, delay_ms, header)
    local holder = other_holder(header.unique, id)
    if not holder then
        return nil
    end
    local waits = hurry(holder.queue, holder.id, header.level, delay_ms, holder.backs_off)
    local is_stronger = header.strength > holder.strength
    if is_stronger and not waits then
        return nil
    end
    share(header.unique, holder, header.fair)
    count(queue, "enqueued")
    count(queue, "coalesced")
    return { holder.id, holder.run, is_stronger and 1 or 0 }
end

local function upgrade(queue, id, value, header)
    if not has_value(queue, id) or not hurry(queue, id, header.level, 0, true) then
        return 1
    end
    local level = math.min(header.level, read_header(read_value(queue, id)).level)
    set_value(queue, id, set_level(value, level))
    local _, _, _, flags = parse_holder(redis.call("HGET", ns .. ":unique", header.unique))
    hold_unique(queue, id, header, read_flags(flags))
    return 0
end

-- One that has let go of its key (its run has come to a verdict) does not take it again.
local function keep_unique(queue, id, delay_ms, header)
    local _, _, _, flags, held_id = parse_holder(redis.call("HGET", ns .. ":unique", header.unique))
    if held_id == id then
        hold_unique(queue, id, header, delay_ms > 0, is_shared(flags))
    end
end

local function send_again(queue, id, delay_ms, claim, value, header)
    local process, fetch = string.match(claim, "^(%S+) (%S+)$")
    -- Without the lease somebody else has the message, or has done or buried it: it is theirs.
    if not end_lease(queue, id, process, fetch) then
        count(queue, "repeated")
        return 1
    end
    set_value(queue, id, value)
    keep_unique(queue, id, delay_ms, header)
    place(queue, id, delay_ms, header)
    count(queue, "retried")
    wake_if_limited(queue)
    return 0
end

local function revive(queue, id, delay_ms, value, header)
    if redis.call("ZREM", key(queue, "dead"), id) == 0 then
        return false
    end
    redis.call("HDEL", key(queue, "reasons"), id)
    set_value(queue, id, value)
    if not other_holder(header.unique, id) then
        hold_unique(queue, id, header, delay_ms > 0)
    end
    place(queue, id, delay_ms, header)
    return true
end

local function enqueue(queue, id, delay_ms, claim, value)
    local header = read_header(value)
    if claim == "upgrade" then
        return upgrade(queue, id, value, header)
    end
    if claim ~= "" then
        return send_again(queue, id, delay_ms, claim, value, header)
    end
    local coalesced = coalesce(queue, id, delay_ms, header)
    if coalesced then
        return coalesced
    end
    if redis.call("HSETNX", ns .. ":values", queue .. "/" .. id, value) == 1 then
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

-- Reads together what most messages need.
local function read_counts_of(args)
    local names, known = { "minute", "call:" .. args[2] }, {}
    for i = 4, #args, 5 do
        local turn = args[i] .. "/turn" .. string.sub(args[i + 4], 1, 1)
        if not known[turn] then
            known[turn] = true
            names[#names + 1] = turn
            names[#names + 1] = args[i] .. "/enqueued"
        end
    end
    read_counts(names)
end

local function enqueue_all(args)
    read_counts_of(args)
    local answers, has_come_before = {}, is_repeated(args[2], args[3])
    for i = 4, #args, 5 do
        local queue = args[i]
        if has_come_before then
            answers[#answers + 1] = 1
        else
            know_queue(queue)
            answers[#answers + 1] = enqueue(queue, args[i + 1], tonumber(args[i + 2]), args[i + 3], args[i + 4])
        end
    end
    return answers
end

-- Most calls bring one new message without delay or keys to a queue in use. The same moves as
-- above, but nothing is prepared for what such a message does not need: half the time.
local function enqueue_plain(args)
    local queue, id, value = args[4], args[5], args[8]
    local level = #args == 8 and args[6] == "0" and args[7] == "" and string.match(value, "^(%d) 0 %- %- ")
    if not level then
        return nil
    end
    local kept, minute = ns .. ":counts", math.floor(now / 60000)
    local call, turn, enqueued = "call:" .. args[2], queue .. "/turn" .. level, queue .. "/enqueued"
    local found = redis.call("HMGET", kept, "minute", call, turn, enqueued)
    local last_turn = tonumber(found[3])
    local last_call = found[2] and tonumber(string.match(found[2], "^%d+")) or 0
    if tonumber(found[1]) ~= minute or last_call >= tonumber(args[3]) or not last_turn or not found[4] then
        return nil
    end
    if redis.call("HSETNX", ns .. ":values", queue .. "/" .. id, value) == 0 then
        return nil
    end
    redis.call("ZADD", key(queue, "waiting:" .. level), last_turn + 1, id)
    be_ready(queue, level)
    redis.call("ZADD", wake_key(queue, level), 0, "")
    redis.call("HSET", kept, call, args[3] .. " " .. minute, turn, last_turn + 1, enqueued, found[4] + 1)
    return { 0 }
end

define("enqueue", false, enqueue_all, enqueue_plain)
-- A leased message that is sent again takes no new room, and must not be lost for lack of it.
define("send_again", true, enqueue_all)
