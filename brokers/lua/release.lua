-- A run that has come to its verdict stands for later requests no more, though its message is
-- settled a moment later.
--
-- args: clock, unique key, run. Answer: 1 if the run held the key.
define("release", true, function(args)
    local _, _, run, flags = parse_holder(redis.call("HGET", ns .. ":unique", args[2]))
    if run ~= args[3] then
        return 0
    end
    let_go(args[2], flags)
    return 1
end)
