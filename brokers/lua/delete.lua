-- Delete messages by id, wherever they are, except those that a worker runs.
--
-- ARGV: clock, queue, ids. Answer: how many were deleted.

local queue = ARGV[2]
local values = key(queue, "values")
local places = { key(queue, "dead"), key(queue, "delayed") }
for level = 0, 3 do
    places[#places + 1] = key(queue, "waiting:" .. level)
end

local deleted = 0
for i = 3, #ARGV do
    local id = ARGV[i]
    for _, place in ipairs(places) do
        if redis.call("ZREM", place, id) == 1 then
            free_unique(queue, id, redis.call("HGET", values, id))
            redis.call("HDEL", values, id)
            redis.call("HDEL", key(queue, "reasons"), id)
            count(queue, "deleted")
            deleted = deleted + 1
            break
        end
    end
end
note_next_due(queue)
save()
return deleted
