-- Give back the messages of processes that fell silent.
--
-- args: clock, worker deaths that send a message to the dead letters, then the processes that
--       the caller found silent some seconds ago.
-- Answer: {number of messages given back, the processes that are silent now}.
--
-- A process is lost only when it is found silent twice: after a stall of Redis itself all leases
-- are over at once, and their owners must get the chance to renew them.

local function add_death(value)
    local before, deaths, after = string.match(value, "^(%d %S+ %S+ %S+ %S+ %S+ )(%d+)(.*)$")
    deaths = tonumber(deaths) + 1
    return before .. deaths .. after, deaths
end

local function give_back(queue, id, lost, fetch, most_deaths)
    local value = read_value(queue, id)
    count(queue, "lost")
    if not value then
        hand_back(queue, id, lost, fetch)
        return
    end
    local deaths
    value, deaths = add_death(value)
    redis.call("HSET", ns .. ":values", queue .. "/" .. id, value)
    if deaths >= most_deaths then
        local reason = { kind = "poison", error = "its worker died " .. deaths .. " times", process = lost }
        nack(queue, id, lost, fetch, cjson.encode(reason))
        redis.call("RPUSH", ns .. ":untold", id)
        redis.call("LTRIM", ns .. ":untold", -10000, -1) -- where nobody listens
    else
        hand_back(queue, id, lost, fetch)
    end
end

define("recover", true, function(args)
    local most_deaths, suspected = tonumber(args[2]), {}
    for i = 3, #args do
        suspected[args[i]] = true
    end
    local recovered, silent = 0, {}
    for _, process in ipairs(redis.call("SMEMBERS", ns .. ":processes")) do
        if redis.call("EXISTS", ns .. ":process:" .. process) == 0 then
            if suspected[process] then
                for _, lease in ipairs(leases_of(process)) do
                    give_back(lease.queue, lease.id, process, lease.fetch, most_deaths)
                    recovered = recovered + 1
                end
                forget_process(process)
            else
                silent[#silent + 1] = process
            end
        end
    end
    return { recovered, silent }
end)
