-- One turn of a worker process: settle what it finished, promote what is due, fetch what it has
-- slots for.
--
-- args: clock, process, number of the call, how many to fetch, how many of them may be common, the
--       queues it serves (with spaces between), then for each settled delivery:
--       ack | nack | back, queue, id, fetch, reason.
-- Answer: {number of this fetch, ms until the next delayed message is due or -1,
--          {queue, id, value, ...}}; -1 as the number says that this call came before.

-- A million messages due at once must not block the server: the rest follows in the next call.
local PROMOTED_AT_ONCE = 500
-- Lua's `unpack` ends somewhere below 8,000 values.
local MOST_LENT = 1000
local SETTLED_FROM = 7 -- the first argument of the first settled delivery

-- Reads together what most turns need.
local function read_counts_of(args)
    local names, known = { "minute", "call:" .. args[2], "fetch", "passed1", "passed2", "passed3" }, {}
    for i = SETTLED_FROM, #args, 5 do
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
    for i = SETTLED_FROM, #args, 5 do
        fields[#fields + 1] = args[i + 1] .. "/" .. args[i + 2]
    end
    if #fields == 0 then
        return
    end
    for i, lease in ipairs(redis.call("HMGET", ns .. ":leased", unpack(fields))) do
        leases[fields[i]] = lease
    end
    for i = SETTLED_FROM, #args, 5 do
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

-- This process can take no more; if something is waiting, another one should know.
local function wake_another()
    for level = 0, 3 do
        if #lines[level] > 0 then
            wake(lines[level][1].queue, level)
            return
        end
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
        served, room, lines, common_room = parse_queues(args[6]), {}, {}, tonumber(args[5])
        lent = fetch(want, process, found)
        if lent == want or common_room == 0 then
            wake_another()
        end
        if lent == want and due_in >= 0 then
            wake(redis.call("ZRANGE", ns .. ":due", 0, 0)[1], 0)
        end
    end
    return { lent > 0 and counts.fetch or 0, due_in, found }
end)
