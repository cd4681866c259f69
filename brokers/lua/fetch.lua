-- Which messages come next: by level, then by queue, then by turn.

-- A level that was passed over so often in a row gets the next pick: starvation-free.
local SHARE = 10
local PAGE = 16

-- Of the call that runs now: which queues may be fetched from, how much room their limits leave,
-- how many more common messages may be picked, the queues in line at each level, and what was
-- picked: {queue, id, level, turn}.
local served, room, common_room, lines, picks

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

-- A level that may not be picked from is not passed over either: its share is not due.
local function is_open(level)
    return #lines[level] > 0 and (level < COMMON or common_room > 0)
end

local function pick_open(level, most)
    if level < COMMON then
        return pick_from(level, most)
    end
    local taken = pick_from(level, math.min(most, common_room))
    common_room = common_room - taken
    return taken
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
        if is_open(level) and passed[level] >= SHARE - 1 then
            set_passed(level, 0)
            if pick_open(level, 1) == 1 then
                return 1
            end
        end
    end
    for level = 0, 3 do
        local row = most -- as many in a row until a lower level has its share
        for lower = level + 1, 3 do
            if is_open(lower) then
                row = math.min(row, SHARE - 1 - passed[lower])
            end
        end
        local taken = is_open(level) and pick_open(level, row) or 0
        if taken > 0 then
            if level > 0 then
                set_passed(level, 0)
            end
            for lower = level + 1, 3 do
                if is_open(lower) then
                    set_passed(lower, passed[lower] + taken)
                end
            end
            return taken
        end
    end
    return 0
end
