-- Delete messages by id, wherever they are, except those that a worker runs.
--
-- args: clock, queue, ids. Answer: the run of each that was deleted.

define("delete", true, function(args)
    local queue, runs = args[2], {}
    local places = { key(queue, "dead"), key(queue, "delayed") }
    for level = 0, 3 do
        places[#places + 1] = key(queue, "waiting:" .. level)
    end
    for i = 3, #args do
        local id = args[i]
        for _, place in ipairs(places) do
            if redis.call("ZREM", place, id) == 1 then
                runs[#runs + 1] = delete_value(queue, id)
                redis.call("HDEL", key(queue, "reasons"), id)
                count(queue, "deleted")
                break
            end
        end
    end
    note_next_due(queue)
    return runs
end)
