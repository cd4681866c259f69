-- What all calls share first: the keys, the clock, and what is stored of a message.
--
-- The files of this folder make one library of Redis functions (brokers/scripts.py): first what all
-- calls share (layout, counts, waiting, sharing, settle, fetch, define), then a file for each call. A message of
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
--   {ns}:sharers                HASH  unique key -> "<given up> <fair keys> <id>": the batches whose requests
--                                     were coalesced with that message ("," around each fair key); given
--                                     up: 1 if the batch that sent it was cancelled. None while somebody
--                                     counts on it who is never taken back
-- Of one queue:
--   {ns}:q:<queue>:waiting:<l>  ZSET  id by turn, one a priority level l (0 urgent .. 3 low)
--   {ns}:q:<queue>:turns:<l>    ZSET  fair key by the last turn given to it ("-": no fair key), while
--                                     messages with fair keys share the level
--   {ns}:q:<queue>:delayed      ZSET  id by due time (ms)
--   {ns}:q:<queue>:dead         ZSET  id by time of death (ms)
--   {ns}:q:<queue>:reasons      HASH  id of a dead message -> JSON: why it died
--   {ns}:wake:<queue>           ZSET  one member when an idle process should fetch (BZPOPMIN) what is
--                                     common: of normal or low priority
--   {ns}:wake:<queue>:pressing  ZSET  the same for urgent and high priority; a process whose slots for
--                                     common work are all taken waits for these alone
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

-- From this level on messages are common; a process may reserve slots for those above it.
local COMMON = 2

local function wake_key(queue, level)
    return ns .. ":wake:" .. queue .. (tonumber(level) < COMMON and ":pressing" or "")
end

local function read_value(queue, id)
    return redis.call("HGET", ns .. ":values", queue .. "/" .. id)
end

local function parse_holder(holder)
    return string.match(holder or "", "^(%S+) (%S+) (%S+) (%S+) (.*)$")
end
