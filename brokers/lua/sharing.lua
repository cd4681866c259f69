-- Who counts on a message beside whoever sent it: requests that were coalesced with it.
--
-- A batch's request is known by its fair key, so that it can be taken back with its batch. Any other is
-- never taken back; a message that such a one counts on has no line here.

local SHARED = 2

local function is_shared(flags)
    return tonumber(flags or 0) >= SHARED
end

-- Nil where somebody counts on the message who is never taken back, and where nobody does.
local function sharers_of(unique, id)
    local line = redis.call("HGET", ns .. ":sharers", unique)
    local given_up, names, held_id = string.match(line or "", "^(%d) (%S+) (.*)$")
    return held_id == id and { is_given_up = given_up == "1", names = names } or nil
end

local function save_sharers(unique, id, sharers)
    local given_up = sharers.is_given_up and "1" or "0"
    redis.call("HSET", ns .. ":sharers", unique, table.concat({ given_up, sharers.names, id }, " "))
end

local function forget_sharers(unique)
    redis.call("HDEL", ns .. ":sharers", unique)
end

local function add_sharer(unique, id, fair, is_first)
    local sharers = is_first and { names = "," } or sharers_of(unique, id)
    if fair == "-" then
        forget_sharers(unique)
    elseif sharers and not string.find(sharers.names, "," .. fair .. ",", 1, true) then
        sharers.names = sharers.names .. fair .. ","
        save_sharers(unique, id, sharers)
    end
end

-- Answers whether it was one.
local function remove_sharer(sharers, fair)
    local first, last = string.find(sharers.names, "," .. fair .. ",", 1, true)
    if not first then
        return false
    end
    sharers.names = string.sub(sharers.names, 1, first) .. string.sub(sharers.names, last + 1)
    return true
end

local function has_sharers(sharers)
    return sharers.names ~= ","
end

-- Nobody's message holds the key any more.
local function let_go(unique, flags)
    redis.call("HDEL", ns .. ":unique", unique)
    if is_shared(flags) then
        forget_sharers(unique)
    end
end
