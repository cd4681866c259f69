-- How a message comes to wait, now or later, and who is woken for it.

local function wake_by(name)
    if not woken[name] then
        woken[name] = true
        redis.call("ZADD", name, 0, "")
    end
end

-- One idle process wakes, fetches, and wakes the next one if something is left.
local function wake(queue, level)
    wake_by(wake_key(queue, level))
end

-- For a reason that knows no level: whoever waits for any of them.
local function wake_for_all(queue)
    wake(queue, 0)
    wake(queue, COMMON)
end

-- Turns make shares fair: a message's turn follows the last one given to its fair key, but is
-- never before the turn that is served now. So a key with a thousand messages waiting and a key
-- with one are served alternately. Turns given in this call are kept here until `save_turns`.
local function shared_turn(queue, level, fair)
    local place = queue .. ":" .. level
    local given = turns[place]
    if not given then
        local first = redis.call("ZRANGE", key(queue, "waiting:" .. level), 0, 0, "WITHSCORES")
        if not first[2] then
            first = redis.call("ZRANGE", key(queue, "turns:" .. level), 0, 0, "REV", "WITHSCORES")
        end
        given = { served = tonumber(first[2] or 0), last = {}, key = key(queue, "turns:" .. level) }
        turns[place] = given
    end
    local last = given.last[fair] or tonumber(redis.call("ZSCORE", given.key, fair) or 0)
    if last + 1 < given.served and not given.is_bare then
        -- The first one's place may count its bias; its turn is no later than the last one given.
        local latest = redis.call("ZRANGE", given.key, 0, 0, "REV", "WITHSCORES")
        given.served = math.min(given.served, tonumber(latest[2] or given.served))
        given.is_bare = true
    end
    local turn = math.max(last + 1, given.served)
    given.last[fair] = turn
    return turn
end

local function save_turns()
    for _, given in pairs(turns) do
        for fair, turn in pairs(given.last) do
            redis.call("ZADD", given.key, turn, fair)
        end
        -- A key whose last turn has been served needs no memory; the last member keeps the count.
        if redis.call("ZCARD", given.key) > 32 then
            redis.call("ZREMRANGEBYSCORE", given.key, "-inf", "(" .. string.format("%.17g", given.served))
        end
    end
end

-- Without fair keys a number is enough: first come, first served. Once everybody who shared a
-- level has been served, it is again.
local function next_turn(queue, level, fair)
    local name = queue .. "/turn" .. level
    local last = read_count(name) or 0
    if last == "shared" then
        if fair ~= "-" or redis.call("EXISTS", key(queue, "waiting:" .. level)) == 1 then
            return shared_turn(queue, level, fair)
        end
        local latest = redis.call("ZRANGE", key(queue, "turns:" .. level), 0, 0, "REV", "WITHSCORES")
        redis.call("DEL", key(queue, "turns:" .. level))
        last = latest[2] or 0
    elseif fair ~= "-" then
        redis.call("ZADD", key(queue, "turns:" .. level), last, "-")
        set_count(name, "shared")
        return shared_turn(queue, level, fair)
    end
    set_count(name, last + 1)
    return last + 1
end

-- A queue that had nothing waiting joins where the least served one stands.
local function be_ready(queue, level)
    local ready = ns .. ":ready:" .. level
    if not redis.call("ZSCORE", ready, queue) then
        local first = redis.call("ZRANGE", ready, 0, 0, "WITHSCORES")
        redis.call("ZADD", ready, first[2] or 0, queue)
    end
end

local function wait_at(queue, id, level, turn)
    redis.call("ZADD", key(queue, "waiting:" .. level), turn, id)
    if not ready_at[level .. queue] then
        ready_at[level .. queue] = true
        be_ready(queue, level)
    end
    wake(queue, level)
end

local function wait_last(queue, id, header)
    wait_at(queue, id, header.level, next_turn(queue, header.level, header.fair) + header.bias)
end

local function delay(queue, id, due)
    redis.call("ZADD", key(queue, "delayed"), due, id)
    first_due[queue] = first_due[queue] or tonumber(redis.call("ZSCORE", ns .. ":due", queue) or math.huge)
    if due < first_due[queue] then
        first_due[queue] = due
        redis.call("ZADD", ns .. ":due", due, queue)
        wake(queue, 0) -- an idle process blocks until the first due time it knew of; all hear of this level
    end
end

-- After messages left the delayed ones: when is the queue's next one due?
local function note_next_due(queue)
    local first = redis.call("ZRANGE", key(queue, "delayed"), 0, 0, "WITHSCORES")
    if first[2] then
        redis.call("ZADD", ns .. ":due", first[2], queue)
    else
        redis.call("ZREM", ns .. ":due", queue)
    end
end
