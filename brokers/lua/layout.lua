-- What all calls share: the keys, the clock, and how a message enters and leaves a place.
--
-- The files of this folder make one library of Redis functions (brokers/scripts.py). A message of
-- a queue is in exactly one place: waiting, delayed, leased or dead; every call moves it at once.
-- All keys of a namespace share the hash tag "{namespace}", the only key that a call names.
--
-- Of all queues together, so that a call costs the same however many queues its messages are of:
--   {ns}:values                 HASH  "<queue>/<id>" -> "<header>\n<body>", while the message exists
--   {ns}:leased                 HASH  "<queue>/<id>" ->
--                                     "<process> <fetch> <level> <turn> <since_ms> <unique>"
--   {ns}:counts                 HASH  every number that calls keep:
--       "<queue>/<what>"              enqueued done coalesced deleted | repeated retried lost died | leased
--       "<queue>/turn<l>"             last turn given at level l; "shared": see turns:<l>
--       "passed<l>"                   picks in a row that passed over the messages waiting at level l
--       "fetch"                       number of the last fetch; tells one lease of a message from the next
--       "call:<caller>"               "<number> <minute>" of a sender's or process's last call
--       "minute"                      the last minute in which anything was counted
--   {ns}:minute:<m>             HASH  the counts before the first change in minute m, kept for an hour
--   {ns}:unique                 HASH  unique key -> "<queue> <strength> <run> <flags> <id>"; flags: 1 if
--                                     it backs off, plus 2 if another request was coalesced with it
-- Of one queue:
--   {ns}:q:<queue>:waiting:<l>  ZSET  id by turn, one a priority level l (0 urgent .. 3 low)
--   {ns}:q:<queue>:turns:<l>    ZSET  fair key by the last turn given to it ("-": no fair key), while
--                                     messages with fair keys share the level
--   {ns}:q:<queue>:delayed      ZSET  id by due time (ms)
--   {ns}:q:<queue>:dead         ZSET  id by time of death (ms)
--   {ns}:q:<queue>:reasons      HASH  id of a dead message -> JSON: why it died
--   {ns}:wake:<queue>           ZSET  one member when an idle process should fetch (BZPOPMIN)
-- What is to be found without looking into each queue:
--   {ns}:queues                 SET   every queue ever used
--   {ns}:ready:<l>              ZSET  queues with waiting messages at level l, least served first
--   {ns}:due                    ZSET  queue by the due time of its first delayed message
--   {ns}:rules                  HASH  "paused:<queue>" -> 1, "limit:<queue>" -> most leased at once
-- Worker processes:
--   {ns}:processes              SET   their names
--   {ns}:process:<process>      STRING JSON: what it says of itself, and its orders; while its
--                                     lease lasts, which each heartbeat extends
--   {ns}:nudge:<process>        ZSET  one member when the process itself should look up
--   {ns}:untold                 LIST  ids that died with their workers, for a worker to tell of
--
-- Ledger of a queue, always: enqueued = done + coalesced + deleted + waiting + delayed + leased + dead.
--
-- header: "<level> <bias> <fair> <unique> <strength> <run> <deaths> <sent_ms> <due_ms>"; texts are
-- percent-encoded, "-" stands for none. bias: places that dramatiq's numeric priority costs.

local CALLS_KEPT_MINUTES = 10
local MINUTES_KEPT_S = 3700

-- Of the call that runs now; a library's values outlive a call, so each call starts them anew.
local ns, now
local counts, changed, turns, woken, ready_at, first_due, leases, ended, finished, has_rules

local function set_clock(keys, args)
    ns = keys[1]
    now = tonumber(args[1]) -- a test's clock; 0 is the server's
    if now == 0 then
        local time = redis.call("TIME")
        now = time[1] * 1000 + math.floor(time[2] / 1000)
    end
end

local function begin()
    counts, changed, turns, woken, ready_at, first_due = {}, {}, {}, {}, {}, {}
    leases, ended, finished, has_rules = {}, {}, {}, nil
end

local function key(queue, part)
    return ns .. ":q:" .. queue .. ":" .. part
end

-- A value that is gone (evicted, deleted by hand) reads as a plain message, so that its id moves
-- on to `lend`, which drops it, instead of stopping its queue.
local function read_header(value)
    local pattern = "^(%d) (%S+) (%S+) (%S+) (%S+) (%S+)"
    local level, bias, fair, unique, strength, run = string.match(value or "2 0 - - 0 -", pattern)
    return {
        level = tonumber(level),
        bias = tonumber(bias),
        fair = fair,
        unique = unique,
        strength = tonumber(strength),
        run = run,
    }
end

local function read_value(queue, id)
    return redis.call("HGET", ns .. ":values", queue .. "/" .. id)
end

local function parse_holder(holder)
    return string.match(holder or "", "^(%S+) (%S+) (%S+) (%S+) (.*)$")
end

-- The counts: read once a call, together if their names are known, and written at its end.

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

-- One idle process wakes, fetches, and wakes the next one if something is left.
local function wake(queue)
    if not woken[queue] then
        woken[queue] = true
        redis.call("ZADD", ns .. ":wake:" .. queue, 0, "")
    end
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
    wake(queue)
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
        wake(queue) -- an idle process blocks until the first due time it knew of
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

-- The unique key is free again once its message is done, dead or deleted.
local function free_unique(queue, id, unique)
    if unique == "-" then
        return
    end
    local held_queue, _, _, _, held_id = parse_holder(redis.call("HGET", ns .. ":unique", unique))
    if held_queue == queue and held_id == id then
        redis.call("HDEL", ns .. ":unique", unique)
    end
end

-- The lease ends only for the fetch that took it: a late ack must not settle a later delivery.
-- Answers level, turn and unique key of the message, or nil. `save_ends` makes it so.
local function end_lease(queue, id, process, fetch)
    local field = queue .. "/" .. id
    if leases[field] == nil then
        leases[field] = redis.call("HGET", ns .. ":leased", field)
    end
    local lease, prefix = leases[field], process .. " " .. fetch .. " "
    if not lease or string.sub(lease, 1, #prefix) ~= prefix then
        return nil
    end
    leases[field] = false
    ended[#ended + 1] = field
    count(queue, "leased", -1)
    return string.match(lease, "^%S+ %S+ (%S+) (%S+) %S+ (%S+)$")
end

local function save_ends()
    if #ended > 0 then
        redis.call("HDEL", ns .. ":leased", unpack(ended))
    end
    if #finished > 0 then
        redis.call("HDEL", ns .. ":values", unpack(finished))
    end
    ended, finished = {}, {}
end

local function bury(queue, id, unique, reason)
    count(queue, "died")
    free_unique(queue, id, unique)
    redis.call("ZADD", key(queue, "dead"), now, id)
    redis.call("HSET", key(queue, "reasons"), id, reason)
end

local function read_rules(queue)
    if has_rules == nil then
        has_rules = redis.call("EXISTS", ns .. ":rules") == 1
    end
    return has_rules and redis.call("HMGET", ns .. ":rules", "paused:" .. queue, "limit:" .. queue) or {}
end

-- A freed slot matters to others only where a queue's limit kept them from fetching.
local function wake_if_limited(queue)
    if read_rules(queue)[2] then
        wake(queue)
    end
end

-- A call that frees memory, or moves what Redis holds already, works at maxmemory too.
-- `shortcut` may answer a usual call by itself, or leave it with nil, having changed nothing.
local function define(name, works_when_full, run, shortcut)
    redis.register_function({
        function_name = "clubsync_" .. version .. "_" .. name,
        callback = function(keys, args)
            set_clock(keys, args)
            local answer = shortcut and shortcut(args)
            if answer then
                return answer
            end
            begin()
            answer = run(args)
            save_ends()
            save_turns()
            save_counts()
            return answer
        end,
        flags = works_when_full and { "allow-oom" } or {},
    })
end
