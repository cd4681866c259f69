-- A process gives back what it does not hold any more: on leaving, or after an answer was lost.
--
-- args: clock, process, number of the call, "leave" or "stay", then the ids that it still holds.
-- Answer: how many messages went back to the head of their queues.

define("give_back", true, function(args)
    local process, held, returned = args[2], {}, 0
    if is_repeated(process, args[3]) then
        return 0
    end
    for i = 5, #args do
        held[args[i]] = true
    end
    for _, lease in ipairs(leases_of(process)) do
        if not held[lease.id] then
            hand_back(lease.queue, lease.id, process, lease.fetch)
            returned = returned + 1
        end
    end
    if args[4] == "leave" then
        forget_process(process)
    end
    return returned
end)
