-- Take back messages that nobody else counts on and that no worker runs: a cancelled batch's.
--
-- args: clock, queue, ids. Answer for each id: 1 deleted; 0 no longer here, or running; 2 stays,
-- because another request was coalesced with it.

local function place_of(queue, id)
    local places = { key(queue, "delayed") }
    for level = 0, 3 do
        places[#places + 1] = key(queue, "waiting:" .. level)
    end
    for _, place in ipairs(places) do
        if redis.call("ZSCORE", place, id) then
            return place
        end
    end
    return nil
end

local function is_shared(id, unique)
    local _, _, _, flags, held_id = parse_holder(redis.call("HGET", ns .. ":unique", unique))
    return held_id == id and tonumber(flags) >= 2
end

define("withdraw", true, function(args)
    local queue, answers = args[2], {}
    for i = 3, #args do
        local id = args[i]
        local place = place_of(queue, id)
        answers[i - 2] = 0
        if place then
            local unique = read_header(read_value(queue, id)).unique
            answers[i - 2] = is_shared(id, unique) and 2 or 1
            if answers[i - 2] == 1 then
                redis.call("ZREM", place, id)
                free_unique(queue, id, unique)
                redis.call("HDEL", ns .. ":values", queue .. "/" .. id)
                count(queue, "deleted")
            end
        end
    end
    note_next_due(queue)
    return answers
end)
