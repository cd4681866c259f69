-- Delete messages of a queue, some at a time so that the server stays free for others.
--
-- args: clock, queue, how many at most, then the places: waiting, delayed, leased, dead.
-- Answer: how many were deleted; 0 means that the places are empty.

local function delete_value(queue, id)
    free_unique(queue, id, read_header(read_value(queue, id)).unique)
    redis.call("HDEL", ns .. ":values", queue .. "/" .. id)
end

local function delete_first(queue, place, most)
    local zset = key(queue, place)
    local ids = redis.call("ZRANGE", zset, 0, most - 1)
    for _, id in ipairs(ids) do
        redis.call("ZREM", zset, id)
        delete_value(queue, id)
    end
    return ids
end

local purge = {}

function purge.waiting(queue, most)
    local deleted = 0
    for level = 0, 3 do
        if deleted < most then
            deleted = deleted + #delete_first(queue, "waiting:" .. level, most - deleted)
        end
    end
    return deleted
end

function purge.delayed(queue, most)
    local deleted = #delete_first(queue, "delayed", most)
    note_next_due(queue)
    return deleted
end

function purge.leased(queue)
    local deleted, prefix = 0, queue .. "/"
    for _, field in ipairs(redis.call("HKEYS", ns .. ":leased")) do -- never more than workers have slots
        if string.sub(field, 1, #prefix) == prefix then
            redis.call("HDEL", ns .. ":leased", field)
            delete_value(queue, string.sub(field, #prefix + 1))
            deleted = deleted + 1
        end
    end
    count(queue, "leased", -deleted)
    return deleted
end

function purge.dead(queue, most)
    local ids = delete_first(queue, "dead", most)
    for _, id in ipairs(ids) do
        redis.call("HDEL", key(queue, "reasons"), id)
    end
    return #ids
end

define("purge", true, function(args)
    local queue, most, deleted = args[2], tonumber(args[3]), 0
    for i = 4, #args do
        if deleted < most then
            deleted = deleted + purge[args[i]](queue, most - deleted)
        end
    end
    if deleted > 0 then
        count(queue, "deleted", deleted)
    end
    return deleted
end)
