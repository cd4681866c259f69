-- What all calls share: the keys, the clock, and how a message enters and leaves a place.
--
-- The files of this folder make one library of Redis functions (brokers/scripts.py). A message of
-- a queue is in exactly one place: waiting, delayed, leased or dead; every call moves it at once.
-- All keys of a namespace share the hash tag "{namespace}", the only key that a call names.
--
--   {ns}:q:<queue>:values       HASH  id -> "<header>\n<body>", while the message exists
--   {ns}:q:<queue>:waiting:<l>  ZSET  id by turn, one a priority level l (0 urgent .. 3 low)
--   {ns}:q:<queue>:turns:<l>    ZSET  fair key by the last turn given to it ("-": no fair key)
--   {ns}:q:<queue>:delayed      ZSET  id by due time (ms)
--   {ns}:q:<queue>:leased       HASH  id -> "<process> <fetch> <level> <turn> <since_ms>"
--   {ns}:q:<queue>:dead         ZSET  id by time of death (ms)
--   {ns}:q:<queue>:reasons      HASH  id of a dead message -> JSON: why it died
--   {ns}:q:<queue>:ledger       HASH  enqueued done coalesced deleted | repeated retried lost died
--   {ns}:q:<queue>:minute:<m>   HASH  the same counts for one minute, kept for an hour
--   {ns}:queues                 SET   every queue ever used
--   {ns}:rules                  HASH  "paused:<queue>" -> 1, "limit:<queue>" -> most leased at once
--   {ns}:ready:<l>              ZSET  queues with waiting messages at level l, least served first
--   {ns}:passed                 HASH  level -> picks in a row that passed over its waiting messages
--   {ns}:due                    ZSET  queue by the due time of its first delayed message
--   {ns}:wake:<queue>           ZSET  one member when an idle process should fetch (BZPOPMIN)
--   {ns}:nudge:<process>        ZSET  one member when the process itself should look up
--   {ns}:unique                 HASH  unique key -> "<queue> <strength> <run> <1 if it backs off> <id>"
--   {ns}:processes              SET   worker processes
--   {ns}:process:<process>      STRING JSON: what it says of itself, and its orders; while its
--                                     lease lasts, which each heartbeat extends
--   {ns}:untold                 LIST  ids that died with their workers, for a worker to tell of
--   {ns}:fetches                number of the last fetch; tells one lease of a message from the next
--   {ns}:sent:<sender>          number of the last call of a sender, to know a repeated call
--
-- Ledger of a queue, always: enqueued = done + coalesced + deleted + waiting + delayed + leased + dead.
--
-- header: "<level> <bias> <fair> <unique> <strength> <run> <deaths> <sent_ms> <due_ms>"; texts are
-- percent-encoded, "-" stands for none. bias: places that dramatiq's numeric priority costs.

-- Of the call that runs now; a library's values outlive a call, so `begin` starts them anew.
local ns, now
local turns, counts, woken, ready_at, first_due, is_limited

local function begin(keys, args)
    ns = keys[1]
    now = tonumber(args[1]) -- a test's clock; 0 is the server's
    if now == 0 then
        local time = redis.call("TIME")
        now = time[1] * 1000 + math.floor(time[2] / 1000)
    end
    turns, counts, woken, ready_at, first_due, is_limited = {}, {}, {}, {}, {}, {}
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

local function parse_holder(holder)
    return string.match(holder or "", "^(%S+) (%S+) (%S+) (%S+) (.*)$")
end

-- Counts of this call, kept here until `save`.
local function count(queue, what, by)
    counts[queue] = counts[queue] or {}
    counts[queue][what] = (counts[queue][what] or 0) + (by or 1)
end

local function save_counts()
    local minute = ":q:%s:minute:" .. math.floor(now / 60000)
    for queue, changed in pairs(counts) do
        local of_minute = ns .. string.format(minute, queue)
        for what, by in pairs(changed) do
            redis.call("HINCRBY", key(queue, "ledger"), what, by)
            redis.call("HINCRBY", of_minute, what, by)
        end
        redis.call("EXPIRE", of_minute, 3600)
    end
end

-- Senders number their calls. A call that arrives again after its answer was lost, or so late
-- that its sender has moved on, must change nothing.
local function is_repeated(sender, number)
    local sent = ns .. ":sent:" .. sender
    local last = redis.call("SET", sent, number, "PX", 600000, "GET")
    if last and tonumber(last) >= tonumber(number) then
        redis.call("SET", sent, last, "PX", 600000)
        return true
    end
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
-- with one are served alternately. Turns given in this call are kept here until `save`.
local function next_turn(queue, level, fair)
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

-- A queue that had nothing waiting joins where the least served one stands.
local function be_ready(queue, level)
    local ready = ns .. ":ready:" .. level
    if not redis.call("ZSCORE", ready, queue) then
        local first = redis.call("ZRANGE", ready, 0, 0, "WITHSCORES")
        redis.call("ZADD", ready, first[2] or 0, queue)
    end
    ready_at[level .. queue] = true
end

local function wait_at(queue, id, level, turn)
    redis.call("ZADD", key(queue, "waiting:" .. level), turn, id)
    if not ready_at[level .. queue] then
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
local function free_unique(queue, id, value)
    local unique = string.match(value or "", "^%S+ %S+ %S+ (%S+)")
    if not unique or unique == "-" then
        return
    end
    local holder = redis.call("HGET", ns .. ":unique", unique)
    local held_queue, _, _, _, held_id = parse_holder(holder)
    if held_queue == queue and held_id == id then
        redis.call("HDEL", ns .. ":unique", unique)
    end
end

-- The lease ends only for the fetch that took it: a late ack must not settle a later delivery.
local function end_lease(queue, id, process, fetch)
    local leased = key(queue, "leased")
    local lease = redis.call("HGET", leased, id)
    local prefix = process .. " " .. fetch .. " "
    if not lease or string.sub(lease, 1, #prefix) ~= prefix then
        return nil
    end
    redis.call("HDEL", leased, id)
    return string.match(lease, "^%S+ %S+ (%S+) (%S+)", 1)
end

local function bury(queue, id, value, reason)
    count(queue, "died")
    free_unique(queue, id, value)
    redis.call("ZADD", key(queue, "dead"), now, id)
    redis.call("HSET", key(queue, "reasons"), id, reason)
end

-- A freed slot matters to others only where a queue's limit kept them from fetching.
local function wake_if_limited(queue)
    if is_limited[queue] == nil then
        is_limited[queue] = redis.call("HEXISTS", ns .. ":rules", "limit:" .. queue) == 1
    end
    if is_limited[queue] then
        wake(queue)
    end
end

-- A call that frees memory, or moves what Redis holds already, works at maxmemory too.
local function define(name, works_when_full, run)
    redis.register_function({
        function_name = "clubsync_" .. version .. "_" .. name,
        callback = function(keys, args)
            begin(keys, args)
            local answer = run(args)
            save_turns()
            save_counts()
            return answer
        end,
        flags = works_when_full and { "allow-oom" } or {},
    })
end
