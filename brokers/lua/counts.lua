-- The numbers in {ns}:counts: read once a call, together if their names are known, and written at
-- its end.

local CALLS_KEPT_MINUTES = 10
local MINUTES_KEPT_S = 3700

local function read_counts(names)
    local found = redis.call("HMGET", ns .. ":counts", unpack(names))
    for i, name in ipairs(names) do
        counts[name] = found[i]
    end
end

local function read_count(name)
    if counts[name] == nil then
        counts[name] = redis.call("HGET", ns .. ":counts", name)
    end
    return counts[name]
end

local function set_count(name, value)
    counts[name] = value
    changed[name] = true
end

local function count(queue, what, by)
    local name = queue .. "/" .. what
    set_count(name, (tonumber(read_count(name)) or 0) + (by or 1))
end

local function know_queue(queue)
    if not read_count(queue .. "/enqueued") then
        redis.call("SADD", ns .. ":queues", queue)
    end
end

local function this_minute()
    return math.floor(now / 60000)
end

-- What was counted in a minute is the difference between its start and the next one.
local function keep_start_of_minute()
    local minute = this_minute()
    if tonumber(read_count("minute")) == minute then
        return
    end
    local start, callers, silent = ns .. ":minute:" .. minute, {}, {}
    if redis.call("COPY", ns .. ":counts", start, "REPLACE") == 0 then
        redis.call("HSET", start, "minute", minute) -- the very first count
    end
    redis.call("EXPIRE", start, MINUTES_KEPT_S)
    local all = redis.call("HGETALL", start)
    for i = 1, #all, 2 do
        if string.sub(all[i], 1, 5) == "call:" then
            callers[#callers + 1] = all[i]
            if tonumber(string.match(all[i + 1], " (%d+)$")) < minute - CALLS_KEPT_MINUTES then
                silent[#silent + 1] = all[i]
            end
        end
    end
    for _, name in ipairs(callers) do
        redis.call("HDEL", start, name)
    end
    for _, name in ipairs(silent) do
        redis.call("HDEL", ns .. ":counts", name)
    end
    set_count("minute", minute)
end

local function save_counts()
    if not next(changed) then
        return
    end
    keep_start_of_minute()
    local written = {}
    for name in pairs(changed) do
        written[#written + 1] = name
        written[#written + 1] = counts[name]
    end
    redis.call("HSET", ns .. ":counts", unpack(written))
end

-- Senders and processes number their calls. A call that arrives again after its answer was lost,
-- or so late that its caller has moved on, must change nothing.
local function is_repeated(caller, number)
    local name = "call:" .. caller
    local last = string.match(read_count(name) or "", "^%d+")
    if last and tonumber(last) >= tonumber(number) then
        return true
    end
    set_count(name, number .. " " .. this_minute())
    return false
end
