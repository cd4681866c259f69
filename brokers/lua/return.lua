-- A process gives back what it does not hold any more: on leaving, or after an answer was lost.
--
-- ARGV: clock, process, number of the call, "leave" or "stay", then the ids that it still holds.
-- Answer: how many messages went back to the head of their queues.

local process = ARGV[2]
if is_repeated(process, ARGV[3]) then
    return 0
end
local held = {}
for i = 5, #ARGV do
    held[ARGV[i]] = true
end
local returned = 0
for _, queue in ipairs(redis.call("SMEMBERS", ns .. ":queues")) do
    local leased = redis.call("HGETALL", key(queue, "leased"))
    for i = 1, #leased, 2 do
        local id = leased[i]
        local owner, fetch = string.match(leased[i + 1], "^(%S+) (%S+)")
        if owner == process and not held[id] then
            hand_back(queue, id, process, fetch)
            returned = returned + 1
        end
    end
end
if ARGV[4] == "leave" then
    redis.call("ZREM", ns .. ":processes", process)
    redis.call("DEL", ns .. ":process:" .. process)
    -- It may have been woken for a message that it did not fetch any more.
    for level = 0, 3 do
        for _, queue in ipairs(redis.call("ZRANGE", ns .. ":ready:" .. level, 0, -1)) do
            wake(queue)
        end
    end
end
save()
return returned
