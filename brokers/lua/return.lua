-- A process gives back what it does not hold any more: on leaving, or after an answer was lost.
--
-- ARGV: clock, process, number of the call, "leave" or "stay", then the ids that it still holds.
-- Answer: how many messages went back to the head of their queues.

local process = ARGV[2]
if is_repeated(process, ARGV[3]) then
    return 0
end
local held = {}
for i = 5, #ARGV do
    held[ARGV[i]] = true
end
local returned = 0
for _, lease in ipairs(leases_of(process)) do
    if not held[lease.id] then
        hand_back(lease.queue, lease.id, process, lease.fetch)
        returned = returned + 1
    end
end
if ARGV[4] == "leave" then
    forget_process(process)
end
save()
return returned
