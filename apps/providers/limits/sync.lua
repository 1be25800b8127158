-- One bucket meets one pump: it takes in what the pump used and saw, and hands out permits.
-- KEYS: the bucket's hash, the list of its latest outcomes. ARGV[1]: a JSON object; the answer is one, too.
-- Times are milliseconds of Redis' own clock: the pumps' clocks don't matter.
local ask = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local state = {}
local raw = redis.call('HGETALL', KEYS[1])
for i = 1, #raw, 2 do state[raw[i]] = raw[i + 1] end
local function number(name, default) return tonumber(state[name] or '') or default end
local changed = {}
local function set(name, value) state[name] = tostring(value); changed[name] = tostring(value) end

-- Who has how many calls in the air. A pump that fell silent for 10 s was killed: its share comes back.
local others, pumps = 0, 1
for name, value in pairs(state) do
  if string.sub(name, 1, 5) == 'pump:' then
    local count, until_ms = string.match(value, '^(%d+),(%d+)$')
    if tonumber(until_ms) <= now then redis.call('HDEL', KEYS[1], name)
    elseif name ~= 'pump:' .. ask.pump then others = others + tonumber(count); pumps = pumps + 1 end
  end
end
local in_flight = others + ask.held

-- A bucket that was edited (a new key, a new address) forgets why it was paused.
if state.version ~= ask.version then set('version', ask.version); set('paused', 0) end
if ask.pause_ms > 0 then set('paused', math.max(number('paused', 0), now + ask.pause_ms)) end

-- Blocked by the provider: for everybody, as long as it asks; without a word from it 2 s, doubling to 30 s.
if ask.throttled > 0 then
  local block = ask.retry_after_ms
  if block <= 0 and number('blocked', 0) <= now then
    local last = number('backoff', 0)
    block = math.min(30000, math.max(2000, last * 2))
    set('backoff', block)
  end
  if block > 0 then set('blocked', math.max(number('blocked', 0), now + block * (1 + ask.chance / 10))) end
elseif ask.ok > 0 and number('blocked', 0) <= now and number('backoff', 0) > 0 then
  set('backoff', 0)
end

-- Concurrency: x0.7 on throttling at most once per 5 s, never below a quarter of the last good value; x1.5 per clean 5 s.
local ceiling = ask.max_concurrency
local limit = number('limit', 0)
if ask.throttled > 0 then
  if now - number('limit_at', 0) >= 5000 then
    if limit == 0 then limit = ceiling > 0 and ceiling or math.max(1, in_flight + ask.throttled); set('good', limit)
    elseif number('clean', 0) == 1 then set('good', limit) end
    limit = math.max(1, math.ceil(number('good', limit) / 4), math.floor(limit * 0.7))
    set('limit', limit); set('limit_at', now)
  end
  set('clean', 0); set('throttled_at', now)
elseif limit > 0 and now - number('throttled_at', 0) >= 5000 and now - number('limit_at', 0) >= 5000 then
  limit = math.ceil(limit * 1.5)
  -- What nobody needs any more is forgotten: then only the configured maximum holds.
  if (ceiling > 0 and limit >= ceiling) or (ceiling == 0 and limit > 4 * math.max(1, in_flight)) then limit = 0 end
  set('limit', limit); set('limit_at', now); set('clean', 1)
end
if ceiling > 0 and (limit == 0 or limit > ceiling) then limit = ceiling end

-- The breaker.
local breaker, opened = state.breaker or 'closed', false
if breaker == 'open' and number('open_until', 0) <= now then
  breaker = 'half-open'; set('breaker', breaker); set('probes', 0); set('probes_ok', 0); set('probes_at', now)
end
if breaker == 'half-open' and now - number('probes_at', 0) > 30000 then set('probes', 0); set('probes_at', now) end
local function open()
  local length = breaker == 'half-open' and math.min(30000, number('open_ms', 10000) * 1.5) or 10000
  if breaker == 'closed' then set('before', math.max(1, in_flight)) end
  breaker, opened = 'open', true
  set('breaker', breaker); set('open_ms', length); set('open_until', now + length)
  redis.call('DEL', KEYS[2])
end
if ask.has_breaker then
  if breaker == 'half-open' and ask.failed > 0 then open()
  elseif breaker == 'half-open' and ask.ok > 0 then
    set('probes_ok', number('probes_ok', 0) + ask.ok)
    if number('probes_ok', 0) >= 3 then breaker = 'closed'; set('breaker', breaker); set('slow_from', now) end
  elseif breaker == 'closed' and (ask.ok > 0 or ask.failed > 0) then
    -- What a pump saw since its last word goes in as one run of at most 20, in proportion.
    local total = ask.ok + ask.failed
    local shown = math.min(20, total)
    local bad = math.floor(ask.failed * shown / total + 0.5)
    for i = 1, shown do redis.call('LPUSH', KEYS[2], now .. (i <= bad and ',1' or ',0')) end
    redis.call('LTRIM', KEYS[2], 0, 19); redis.call('PEXPIRE', KEYS[2], 10000)
    local seen, failed = 0, 0
    for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, 19)) do
      local at, is_bad = string.match(entry, '^(%d+),(%d)$')
      if now - tonumber(at) <= 10000 then seen = seen + 1; failed = failed + tonumber(is_bad) end
    end
    if seen >= 10 and failed * 2 >= seen then open() end
  end
end
-- After an outage 10 % at first, all after 20 s.
local factor = 1
if breaker == 'closed' and state.slow_from then
  factor = math.min(1, 0.1 + 0.9 * (now - number('slow_from', now)) / 20000)
  if factor < 1 then
    local slow = math.max(1, math.ceil(factor * math.max(number('before', 1), 10)))
    if limit == 0 or slow < limit then limit = slow end
  else redis.call('HDEL', KEYS[1], 'slow_from') end
end

-- The retry budget: retries can't amplify an outage.
local budget = math.max(0, math.min(500, number('budget', 500) + ask.ok - ask.retry_cost))
if budget ~= number('budget', 500) then set('budget', budget) end

-- Rates: 98 % of the limit, one second of it at once, at least one request. Tokens may go into debt for a big call.
local function level(name, per_minute, used)
  local told = number('told_' .. name, 0)
  if ask['told_' .. name] > 0 and ask['told_' .. name] ~= told then told = ask['told_' .. name]; set('told_' .. name, told) end
  if per_minute == 0 then return nil, 0 end
  if told > 0 then per_minute = math.min(per_minute, told) end
  local rate = per_minute * 0.98 / 60000 * factor
  local most = math.max(1, rate * 1000)
  local have = number(name, most) + (now - number(name .. '_at', now)) * rate
  return math.min(most, have - used), rate
end
local requests, request_rate = level('requests', ask.requests_per_minute, -ask.returned)
local tokens, token_rate = level('tokens', ask.tokens_per_minute, ask.token_delta)

-- Grant.
local grant, wait = ask.want, 100
local each = ask.want > 0 and ask.want_tokens / ask.want or 0
local blocked = math.max(number('blocked', 0), number('paused', 0), breaker == 'open' and number('open_until', 0) or 0)
if requests then
  grant = math.min(grant, math.max(0, math.floor(requests)))
  if grant < 1 then wait = (1 - requests) / request_rate end
end
if tokens then
  grant = math.min(grant, tokens > 0 and math.max(1, math.floor(tokens / math.max(1, each))) or 0)
  if tokens <= 0 then wait = math.max(wait, (1 - tokens) / token_rate) end
end
if limit > 0 then
  local most = (not ask.is_interactive and limit > 1) and math.max(1, math.floor(limit * 0.9)) or limit
  grant = math.min(grant, math.max(0, most - in_flight))
end
if not ask.is_interactive and number('interactive', 0) > now then grant = 0 end
if blocked > now then grant = 0; wait = blocked - now end
if breaker == 'half-open' then
  grant = math.min(grant, math.max(0, 3 - number('probes', 0)))
  if grant > 0 then set('probes', number('probes', 0) + grant) end
end
if ask.is_interactive and ask.is_waiting and grant < ask.want and blocked <= now then set('interactive', now + 2000) end
if requests then set('requests', requests - grant); set('requests_at', now) end
if tokens then set('tokens', tokens - grant * each); set('tokens_at', now) end
set('pump:' .. ask.pump, string.format('%d,%d', ask.held + grant, now + 10000))

local flat = {}
for name, value in pairs(changed) do flat[#flat + 1] = name; flat[#flat + 1] = value end
redis.call('HSET', KEYS[1], unpack(flat)); redis.call('PEXPIRE', KEYS[1], 3600000)
return cjson.encode({
  granted = grant, tokens_each = each, blocked_ms = math.max(0, blocked - now), paused_ms = math.max(0, number('paused', 0) - now),
  breaker = breaker, opened = opened, limit = limit, in_flight = in_flight + grant, pumps = pumps, budget = budget,
  wait_ms = math.max(1, math.min(wait, 60000)), rate_per_second = request_rate * 1000, is_slow = factor < 1,
  is_reserved = not ask.is_interactive and number('interactive', 0) > now,
})
