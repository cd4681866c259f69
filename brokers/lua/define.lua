-- What is common to all calls of the library: they start anew, and save at the end what they noted.

local function begin()
    counts, changed, turns, woken, ready_at, first_due = {}, {}, {}, {}, {}, {}
    leases, ended, finished, has_rules = {}, {}, {}, nil
end

-- A call that frees memory, or moves what Redis holds already, works at maxmemory too.
-- `shortcut` may answer a usual call by itself, or leave it with nil, having changed nothing.
local function define(name, works_when_full, run, shortcut)
    redis.register_function({
        function_name = "clubsync_" .. version .. "_" .. name,
        callback = function(keys, args)
            set_clock(keys, args)
            local answer = shortcut and shortcut(args)
            if answer then
                return answer
            end
            begin()
            answer = run(args)
            save_ends()
            save_turns()
            save_counts()
            return answer
        end,
        flags = works_when_full and { "allow-oom" } or {},
    })
end
