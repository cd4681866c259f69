-- Delete messages of a queue, some at a time so that the server stays free for others.
--
-- args: clock, queue, how many at most, then the places: waiting, delayed, leased, dead.
-- Answer: the run of each that was deleted; an empty list means that the places are empty.

local function delete_first(queue, place, most, runs)
    local zset = key(queue, place)
    local ids = redis.call("ZRANGE", zset, 0, most - 1)
    for _, id in ipairs(ids) do
        redis.call("ZREM", zset, id)
        runs[#runs + 1] = delete_value(queue, id)
    end
    return ids
end

local purge = {}

function purge.waiting(queue, most, runs)
    for level = 0, 3 do
        if #runs < most then
            delete_first(queue, "waiting:" .. level, most - #runs, runs)
        end
    end
end

function purge.delayed(queue, most, runs)
    delete_first(queue, "delayed", most - #runs, runs)
    note_next_due(queue)
end

function purge.leased(queue, _, runs)
    local before, prefix = #runs, queue .. "/"
    for _, field in ipairs(redis.call("HKEYS", ns .. ":leased")) do -- never more than workers have slots
        if string.sub(field, 1, #prefix) == prefix then
            redis.call("HDEL", ns .. ":leased", field)
            runs[#runs + 1] = delete_value(queue, string.sub(field, #prefix + 1))
        end
    end
    count(queue, "leased", before - #runs)
end

function purge.dead(queue, most, runs)
    for _, id in ipairs(delete_first(queue, "dead", most - #runs, runs)) do
        redis.call("HDEL", key(queue, "reasons"), id)
    end
end

define("purge", true, function(args)
    local queue, most, runs = args[2], tonumber(args[3]), {}
    for i = 4, #args do
        if #runs < most then
            purge[args[i]](queue, most, runs)
        end
    end
    if #runs > 0 then
        count(queue, "deleted", #runs)
    end
    return runs
end)
