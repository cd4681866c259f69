-- Delete messages of a queue, some at a time so that the server stays free for others.
--
-- ARGV: clock, queue, how many at most, then the places: waiting, delayed, leased, dead.
-- Answer: how many were deleted; fewer than asked for means that the places are empty.

local queue, budget = ARGV[2], tonumber(ARGV[3])
local deleted = 0

local function delete(id)
    local values = key(queue, "values")
    free_unique(queue, id, redis.call("HGET", values, id))
    redis.call("HDEL", values, id)
    deleted = deleted + 1
end

local function delete_first(zset)
    local ids = redis.call("ZRANGE", zset, 0, budget - deleted - 1)
    for _, id in ipairs(ids) do
        redis.call("ZREM", zset, id)
        delete(id)
    end
    return ids
end

local purge = {}

function purge.waiting()
    for level = 0, 3 do
        if deleted < budget then
            delete_first(key(queue, "waiting:" .. level))
        end
    end
end

function purge.delayed()
    delete_first(key(queue, "delayed"))
    note_next_due(queue)
end

function purge.leased()
    local leased = key(queue, "leased")
    for _, id in ipairs(redis.call("HKEYS", leased)) do
        redis.call("HDEL", leased, id)
        delete(id)
    end
end

function purge.dead()
    for _, id in ipairs(delete_first(key(queue, "dead"))) do
        redis.call("HDEL", key(queue, "reasons"), id)
    end
end

for i = 4, #ARGV do
    if deleted < budget then
        purge[ARGV[i]]()
    end
end
if deleted > 0 then
    count(queue, "deleted", deleted)
end
save()
return deleted
