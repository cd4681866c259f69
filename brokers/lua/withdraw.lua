-- Take back the requests of a batch that is cancelled: what no worker runs and nobody else counts on.
--
-- args: clock, queue, the batch's fair key, then for each request its id and its unique key.
-- Answer for each: {what, run}; what: 1 deleted, with that run; 0 no longer here, or running;
-- 2 stays, because somebody else asked for the same. A request that was coalesced deletes the message
-- that it was one with, once it is the last that counted on it.

local GONE, DELETED, STAYS = 0, 1, 2

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

local function remove(queue, id, place)
    redis.call("ZREM", place, id)
    count(queue, "deleted")
    return { DELETED, delete_value(queue, id) }
end

local function take_back_own(queue, id, place)
    local unique = read_header(read_value(queue, id)).unique
    local _, _, _, flags, held_id = parse_holder(redis.call("HGET", ns .. ":unique", unique))
    if held_id ~= id or not is_shared(flags) then
        return remove(queue, id, place)
    end
    local sharers = sharers_of(unique, id)
    if sharers then
        sharers.is_given_up = true
        save_sharers(unique, id, sharers)
    end
    return { STAYS, "-" }
end

local function take_back_coalesced(unique, fair)
    local queue, strength, run, flags, id = parse_holder(redis.call("HGET", ns .. ":unique", unique))
    local sharers = queue and sharers_of(unique, id)
    if not sharers or not remove_sharer(sharers, fair) then
        return { GONE, "-" }
    end
    if sharers.is_given_up and not has_sharers(sharers) then
        local place = place_of(queue, id)
        if place then
            return remove(queue, id, place)
        end
    end
    if has_sharers(sharers) or sharers.is_given_up then
        save_sharers(unique, id, sharers)
    else
        local holder = table.concat({ queue, strength, run, flags - SHARED, id }, " ")
        redis.call("HSET", ns .. ":unique", unique, holder)
        forget_sharers(unique)
    end
    return { GONE, "-" }
end

define("withdraw", true, function(args)
    local queue, fair, answers = args[2], args[3], {}
    for i = 4, #args, 2 do
        local place = place_of(queue, args[i])
        answers[#answers + 1] = place and take_back_own(queue, args[i], place)
            or take_back_coalesced(args[i + 1], fair)
    end
    note_next_due(queue)
    return answers
end)
