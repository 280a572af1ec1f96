-- One step on one pool: schedule.py is the same in Python. Instants and lengths are microseconds.
--
-- KEYS[1]  the pool: a hash of grants (packed list of instants, ascending), blocked_until, seen, lag and floor
-- ARGV     "book", max_wait, calls, length, calls, length, ...     returns {at, wait}; booked if wait <= max_wait
--          "block", length
--          "release", at
--          "stands", at                                             returns 1 if it does, else 0
--          "used", length                                           returns how many are booked in it, and ahead

local command = ARGV[1]
local time = redis.call('TIME')
local clock = tonumber(time[1]) * 1000000 + tonumber(time[2])

local HORIZON = 2 * 86400 * 1000000
local LATEST = 2 ^ 53

local saved = redis.pcall('HMGET', KEYS[1], 'grants', 'blocked_until', 'seen', 'lag', 'floor')
if saved.err then -- the key is of another kind
    redis.call('DEL', KEYS[1])
    saved = {}
end
local readable, grants = true, {}
if saved[1] then readable, grants = pcall(cmsgpack.unpack, saved[1]) end
local blocked_until = tonumber(saved[2] or 0)
local seen = tonumber(saved[3] or 0)
local lag = tonumber(saved[4] or 0)
local floor = tonumber(saved[5] or 0)

local function is_instant(value)
    return type(value) == 'number' and value >= 0 and value <= LATEST and value == math.floor(value)
end

local function is_sound()
    if not (is_instant(blocked_until) and is_instant(seen) and is_instant(lag) and is_instant(floor)) then
        return false
    end
    if not readable or type(grants) ~= 'table' then return false end
    local ahead, count, latest = math.max(blocked_until, floor), 0, 0
    for _ in pairs(grants) do count = count + 1 end
    if count ~= #grants then return false end
    for _, grant in ipairs(grants) do
        if not is_instant(grant) or grant < latest then return false end
        latest = grant
    end
    local horizon = math.max(clock + lag, seen) + HORIZON
    return math.max(ahead, latest) <= horizon and horizon <= LATEST
end

if not is_sound() then grants, blocked_until, seen, lag, floor = {}, 0, 0, 0, 0 end

if command == 'stands' then return blocked_until <= tonumber(ARGV[2]) and 1 or 0 end

local now = clock + lag
if command ~= 'release' then
    if now < seen then
        lag = lag + seen - now
        floor = grants[#grants] or 0
        now = seen
    end
    seen = now
end

-- How many grants come before the first one that is not below the instant.
local function count_below(instant)
    local low, high = 0, #grants
    while low < high do
        local middle = math.floor((low + high) / 2)
        if grants[middle + 1] < instant then low = middle + 1 else high = middle end
    end
    return low
end

local function leave(at, calls, length)
    local first_index = count_below(at - length + 1) + 1
    local last_index = count_below(at + length)
    for first = last_index - calls + 1, first_index, -1 do
        if grants[first + calls - 1] - grants[first] < length then return grants[first] + length end
    end
    return at
end

local function next_instant(start)
    local at = start
    while true do
        local legal = at
        for i = 3, #ARGV, 2 do legal = leave(legal, tonumber(ARGV[i]), tonumber(ARGV[i + 1])) end
        if legal == at then return at end
        at = legal
    end
end

-- Drop grants[first .. last].
local function without(first, last)
    local kept = {}
    for i = 1, #grants do
        if i < first or i > last then kept[#kept + 1] = grants[i] end
    end
    grants = kept
end

local function book(max_wait)
    local at = next_instant(math.max(now, blocked_until, floor))
    if at - now <= max_wait then
        local longest = 0
        for i = 4, #ARGV, 2 do longest = math.max(longest, tonumber(ARGV[i])) end
        without(1, count_below(now - longest + 1))
        table.insert(grants, count_below(at + 1) + 1, at)
    end
    return {at, at - now}
end

local function block(length)
    blocked_until = math.max(blocked_until, now + length)
    without(count_below(now + 1) + 1, count_below(blocked_until))
end

local function used(length) return #grants - count_below(now - length + 1) end

local function release(at)
    local index = count_below(at) + 1
    if grants[index] == at then table.remove(grants, index) end
end

local result
if command == 'book' then result = book(tonumber(ARGV[2])) end
if command == 'block' then block(tonumber(ARGV[2])) end
if command == 'release' then release(tonumber(ARGV[2])) end
if command == 'used' then result = used(tonumber(ARGV[2])) end

local function digits(number) return string.format('%.0f', number) end
redis.call(
    'HSET', KEYS[1], 'grants', cmsgpack.pack(grants),
    'blocked_until', digits(blocked_until), 'seen', digits(seen), 'lag', digits(lag), 'floor', digits(floor)
)
local busy = math.max(grants[#grants] or 0, blocked_until) - now
redis.call('PEXPIRE', KEYS[1], digits(math.max(0, busy) / 1000 + 2 * 86400 * 1000))
return result
