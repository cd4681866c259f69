-- One turn of a worker process: settle what it finished, promote what is due, fetch what it has
-- slots for.
--
-- args: clock, process, number of the call, how many to fetch, the queues it serves (with spaces
--       between), then for each settled delivery: ack | nack | back, queue, id, fetch, reason.
-- Answer: {number of this fetch, ms until the next delayed message is due or -1,
--          {queue, id, value, ...}}; -1 as the number says that this call came before.

-- A level that was passed over so often in a row gets the next pick: starvation-free.
local SHARE = 10
-- A million messages due at once must not block the server: the rest follows in the next call.
local PROMOTED_AT_ONCE = 500
-- Lua's `unpack` ends somewhere below 8,000 values.
local MOST_LENT = 1000
local PAGE = 16

-- Reads together what most turns need.
local function read_counts_of(args)
    local names, known = { "minute", "call:" .. args[2], "fetch", "passed1", "passed2", "passed3" }, {}
    for i = 6, #args, 5 do
        local queue = args[i + 1]
        if not known[queue] then
            known[queue] = true
            names[#names + 1] = queue .. "/done"
            names[#names + 1] = queue .. "/leased"
        end
    end
    read_counts(names)
end

local function settle_all(args, process)
    local fields = {}
    for i = 6, #args, 5 do
        fields[#fields + 1] = args[i + 1] .. "/" .. args[i + 2]
    end
    if #fields == 0 then
        return
    end
    for i, lease in ipairs(redis.call("HMGET", ns .. ":leased", unpack(fields))) do
        leases[fields[i]] = lease
    end
    for i = 6, #args, 5 do
        settle[args[i]](args[i + 1], args[i + 2], process, args[i + 3], args[i + 4])
    end
    save_ends() -- before a message that was handed back is lent anew
end

local function read_values(queue, ids)
    local fields = {}
    for i, id in ipairs(ids) do
        fields[i] = queue .. "/" .. id
    end
    return redis.call("HMGET", ns .. ":values", unpack(fields))
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
        if #ids > 0 then
            local values = read_values(queue, ids)
            for i, id in ipairs(ids) do
                wait_last(queue, id, read_header(values[i]))
            end
            redis.call("ZREM", key(queue, "delayed"), unpack(ids))
        end
        note_next_due(queue)
        budget = budget - #ids - 1
    end
    return 0
end

-- Of the call that runs now: which queues may be fetched from, how much room their limits leave,
-- the queues in line at each level, and what was picked: {queue, id, level, turn}.
local served, room, lines, picks

-- A process serves the same queues in each of its turns: they are taken apart once.
local served_by_text, text_count = {}, 0

local function parse_queues(text)
    if not served_by_text[text] then
        if text_count == 100 then
            served_by_text, text_count = {}, 0
        end
        served_by_text[text], text_count = {}, text_count + 1
        for queue in string.gmatch(text, "%S+") do
            served_by_text[text][queue] = true
        end
    end
    return served_by_text[text]
end

local function room_in(queue)
    if not served[queue] then
        return 0
    end
    if not room[queue] then
        local rules = read_rules(queue)
        room[queue] = math.huge
        if rules[1] then
            room[queue] = 0
        elseif rules[2] then
            room[queue] = tonumber(rules[2]) - (tonumber(read_count(queue .. "/leased")) or 0)
        end
    end
    return room[queue]
end

-- The queues that may be fetched from at a level, least served first, as many as `most` may need.
local function read_line(level, most)
    local line, start = {}, 0
    repeat
        local found = redis.call("ZRANGE", ns .. ":ready:" .. level, start, start + PAGE - 1, "WITHSCORES")
        for i = 1, #found, 2 do
            if #line < most and room_in(found[i]) > 0 then
                line[#line + 1] = { queue = found[i], served = tonumber(found[i + 1]) }
            end
        end
        start = start + PAGE
    until #found < 2 * PAGE or #line == most
    return line
end

-- How many messages each in line gives, one after the other, so that the least served catch up.
local function share_out(line, most)
    local shares, width, left = {}, 1, most
    local mark = line[1].served
    while left > 0 do
        while line[width + 1] and line[width + 1].served <= mark do
            width = width + 1
        end
        local given = 0
        for i = 1, width do
            local share = shares[i] or 0
            if left > 0 and share < room_in(line[i].queue) then
                shares[i] = share + 1
                given, left = given + 1, left - 1
            end
        end
        if given > 0 then
            mark = mark + 1
        elseif line[width + 1] then
            mark = line[width + 1].served
        else
            break
        end
    end
    return shares
end

-- Pick up to `most` messages of a level; how many there were.
local function pick_from(level, most)
    local ready = ns .. ":ready:" .. level
    while #lines[level] > 0 do
        local line, taken, left, score = lines[level], 0, {}, {}
        local shares = share_out(line, most)
        for i, place in ipairs(line) do
            local queue, share = place.queue, shares[i] or 0
            local popped = share > 0 and redis.call("ZPOPMIN", key(queue, "waiting:" .. level), share) or {}
            for j = 1, #popped, 2 do
                picks[#picks + 1] = { queue = queue, id = popped[j], level = level, turn = popped[j + 1] }
            end
            local number = #popped / 2
            taken = taken + number
            room[queue] = room[queue] - number
            place.served = place.served + number
            if number < share then
                redis.call("ZREM", ready, queue)
            else
                if number > 0 then
                    score[#score + 1] = place.served
                    score[#score + 1] = queue
                end
                if room[queue] > 0 then
                    left[#left + 1] = place
                end
            end
        end
        if #score > 0 then
            redis.call("ZADD", ready, unpack(score))
        end
        if taken > 0 then
            table.sort(left, function(a, b) return a.served < b.served end)
            lines[level] = left
            return taken
        end
        lines[level] = read_line(level, most)
    end
    return 0
end

-- Pick up to `most` messages that come next: of the most urgent level, unless a lower one has
-- been passed over too often.
local function pick(most)
    local passed = {}
    for level = 1, 3 do
        passed[level] = tonumber(counts["passed" .. level]) or 0
    end
    local function set_passed(level, times)
        if passed[level] ~= times then
            passed[level] = times
            set_count("passed" .. level, times)
        end
    end

    for level = 3, 1, -1 do
        if #lines[level] > 0 and passed[level] >= SHARE - 1 then
            set_passed(level, 0)
            if pick_from(level, 1) == 1 then
                return 1
            end
        end
    end
    for level = 0, 3 do
        local row = most -- as many in a row until a lower level has its share
        for lower = level + 1, 3 do
            if #lines[lower] > 0 then
                row = math.min(row, SHARE - 1 - passed[lower])
            end
        end
        local taken = pick_from(level, row)
        if taken > 0 then
            if level > 0 then
                set_passed(level, 0)
            end
            for lower = level + 1, 3 do
                if #lines[lower] > 0 then
                    set_passed(lower, passed[lower] + taken)
                end
            end
            return taken
        end
    end
    return 0
end

-- Lend what was picked; what has no value any more is counted as deleted.
local function lend(process, found)
    local fields, names = {}, {}
    for i, one in ipairs(picks) do
        fields[i] = one.queue .. "/" .. one.id
        local name = one.queue .. "/leased"
        if counts[name] == nil then
            counts[name] = false
            names[#names + 1] = name
        end
    end
    if #names > 0 then
        read_counts(names)
    end
    local values, written = redis.call("HMGET", ns .. ":values", unpack(fields)), {}
    local lease_start, lease_end = process .. " " .. counts.fetch .. " ", string.format(" %.0f ", now)
    for i, one in ipairs(picks) do
        local value = values[i]
        if value then
            local unique = string.match(value, "^%S+ %S+ %S+ (%S+)") or "-"
            written[#written + 1] = fields[i]
            written[#written + 1] = lease_start .. one.level .. " " .. one.turn .. lease_end .. unique
            found[#found + 1] = one.queue
            found[#found + 1] = one.id
            found[#found + 1] = value
            count(one.queue, "leased")
        else
            count(one.queue, "deleted")
        end
    end
    if #written > 0 then
        redis.call("HSET", ns .. ":leased", unpack(written))
    end
end

-- Answers how many were lent.
local function fetch(want, process, found)
    for level = 0, 3 do
        lines[level] = read_line(level, want)
    end
    local lent = 0
    while lent < want do
        local picked = 0
        picks = {}
        repeat
            local taken = pick(want - lent - picked)
            picked = picked + taken
        until taken == 0 or lent + picked == want
        if picked == 0 then
            break
        end
        if lent == 0 then
            set_count("fetch", (tonumber(counts.fetch) or 0) + 1)
        end
        lend(process, found)
        lent = #found / 3
    end
    return lent
end

-- This process is busy now; if more is waiting or delayed, another one should know.
local function wake_another(due_in)
    for level = 0, 3 do
        if #lines[level] > 0 then
            wake(lines[level][1].queue)
            break
        end
    end
    if due_in >= 0 then
        wake(redis.call("ZRANGE", ns .. ":due", 0, 0)[1])
    end
end

define("work", true, function(args)
    local process, want, found = args[2], math.min(tonumber(args[4]), MOST_LENT), {}
    read_counts_of(args)
    if is_repeated(process, args[3]) then
        return { -1, -1, found }
    end
    settle_all(args, process)
    local due_in = promote()
    local lent = 0
    if want > 0 then
        served, room, lines = parse_queues(args[5]), {}, {}
        lent = fetch(want, process, found)
        if lent == want then
            wake_another(due_in)
        end
    end
    return { lent > 0 and counts.fetch or 0, due_in, found }
end)
