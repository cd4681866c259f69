-- The heartbeat of a process, and the recovery of those that stopped beating.
--
-- ARGV: clock, process, lease in ms, worker deaths that send a message to the dead letters,
--       then pairs for the process's own record. Process "" only recovers.
-- Answer: {1 if the lease was still there (0: it is new, or lost), quiet or "", stop or "",
--          number of recovered messages}.

local process, lease_ms, most_deaths = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local processes = ns .. ":processes"

local function add_death(value)
    local before, deaths, after = string.match(value, "^(%d %S+ %S+ %S+ %S+ %S+ )(%d+)(.*)$")
    deaths = tonumber(deaths) + 1
    return before .. deaths .. after, deaths
end

local function give_back(queue, id, lost, fetch)
    local values = key(queue, "values")
    local value = redis.call("HGET", values, id)
    count(queue, "lost")
    if not value then
        hand_back(queue, id, lost, fetch)
        return
    end
    local deaths
    value, deaths = add_death(value)
    redis.call("HSET", values, id, value)
    if deaths >= most_deaths then
        local reason = { kind = "poison", error = "its worker died " .. deaths .. " times", process = lost }
        nack(queue, id, lost, fetch, cjson.encode(reason))
    else
        hand_back(queue, id, lost, fetch)
    end
end

local function recover(lost)
    local recovered = 0
    for _, queue in ipairs(redis.call("SMEMBERS", ns .. ":queues")) do
        local leased = redis.call("HGETALL", key(queue, "leased"))
        for i = 1, #leased, 2 do
            local owner, fetch = string.match(leased[i + 1], "^(%S+) (%S+)")
            if owner == lost then
                give_back(queue, leased[i], lost, fetch)
                recovered = recovered + 1
            end
        end
    end
    redis.call("ZREM", processes, lost)
    redis.call("DEL", ns .. ":process:" .. lost)
    return recovered
end

local is_known, orders = 0, {}
if process ~= "" then
    is_known = redis.call("ZADD", processes, now + lease_ms, process) == 0 and 1 or 0
    local record = ns .. ":process:" .. process
    for i = 5, #ARGV, 2 do
        redis.call("HSET", record, ARGV[i], ARGV[i + 1])
    end
    redis.call("HSET", record, "beat_ms", now)
    orders = redis.call("HMGET", record, "quiet", "stop")
end

local recovered = 0
for _, lost in ipairs(redis.call("ZRANGE", processes, "-inf", "(" .. now, "BYSCORE", "LIMIT", 0, 16)) do
    recovered = recovered + recover(lost)
end
save()
return { is_known, orders[1] or "", orders[2] or "", recovered }
