-- Delete messages by id, wherever they are, except those that a worker runs.
--
-- args: clock, queue, ids. Answer: how many were deleted.

define("delete", true, function(args)
    local queue, deleted = args[2], 0
    local places = { key(queue, "dead"), key(queue, "delayed") }
    for level = 0, 3 do
        places[#places + 1] = key(queue, "waiting:" .. level)
    end
    for i = 3, #args do
        local id = args[i]
        for _, place in ipairs(places) do
            if redis.call("ZREM", place, id) == 1 then
                free_unique(queue, id, read_header(read_value(queue, id)).unique)
                redis.call("HDEL", ns .. ":values", queue .. "/" .. id)
                redis.call("HDEL", key(queue, "reasons"), id)
                count(queue, "deleted")
                deleted = deleted + 1
                break
            end
        end
    end
    note_next_due(queue)
    return deleted
end)
