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
local was_late = number('is_late', 0) == 1
local was_breaker, was_blocked, was_paused = state.breaker or 'closed', number('blocked', 0) > now, number('paused', 0) > now

-- Redis has forgotten this bucket while calls are in the air: nobody knows of the other pumps' calls until all have spoken.
if #raw == 0 and ask.is_known then set('forgotten_until', now + 3500) end

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
if in_flight > number('peak', 0) or now - number('peak_at', 0) > 10000 then set('peak', in_flight); set('peak_at', now) end

-- A bucket that was edited (a new key, a new address, other limits) forgets why it was paused or blocked, and what it had been told.
-- A pump that has not read the tables since then asks by an older version: that is no edit.
if ask.version > (state.version or '') then
  set('version', ask.version)
  for _, name in ipairs({'paused', 'blocked', 'backoff', 'told_requests', 'told_tokens', 'told_input_tokens', 'told_output_tokens', 'hold'}) do
    if state[name] then set(name, 0) end
  end
  if state.pace then set('pace', 1) end
end
if ask.pause_ms > 0 then set('paused', math.max(number('paused', 0), now + ask.pause_ms)) end

-- The provider's own word on its limits: the newest one, for a minute.
local is_explained = false
local function told(name)
  local word, known = ask['told_' .. name], number('told_' .. name, 0)
  -- It begins to count with this refusal, below.
  if word > 0 and ask[name .. '_per_minute'] == 0 and now - number('throttled_at', 0) >= 60000 then is_explained = true end
  if word > 0 and (word ~= known or now - number('told_' .. name .. '_at', 0) > 10000) then
    if word < known or known == 0 then is_explained = true end
    set('told_' .. name, word); set('told_' .. name .. '_at', now)
  end
  return now - number('told_' .. name .. '_at', 0) < 60000 and number('told_' .. name, 0) or 0
end
local told_requests, told_tokens = told('requests'), told('tokens')
local told_input, told_output = told('input_tokens'), told('output_tokens')
if ask.hold_ms > 0 then set('hold', now + math.min(1000, ask.hold_ms)) end

-- Blocked by the provider: for everybody, as long as it asks; without a word from it 2 s, doubling to 30 s.
-- Refused again in the first moments of use after a block, it is left alone for longer than it asks, up to 8 s.
local function is_on_trial()
  return number('blocked', 0) > 0 and (number('trial_at', 0) == 0 or now - number('trial_at', 0) < 3000)
end
if ask.throttled > 0 then
  local block, past = ask.retry_after_ms, number('blocked', 0)
  if block > 0 then
    block = math.max(50, block)
    if past <= now and is_on_trial() then
      local again = math.min(8000, math.max(1000, number('backoff', 0) * 2))
      set('backoff', again); block = math.max(block, again)
    end
  elseif past <= now then
    block = math.min(30000, math.max(2000, number('backoff', 0) * 2))
    set('backoff', block)
  end
  if block > 0 then
    set('blocked', math.max(past, now + block * (1 + ask.chance / 10))); set('trial', 0); set('trial_at', 0)
  end
elseif ask.ok > 0 and number('backoff', 0) > 0 and not is_on_trial() then
  set('backoff', 0)
end

-- Slow answers: x0.5 when four of five that came within ten seconds or more were late. What is usual is learnt from those that were not;
-- what stays late although two halvings have left it time is no matter of how many are asked at once, and becomes the usual: other calls
-- than before, or a provider that is slower now.
local is_late = number('is_late', 0) == 1 and now - number('late_at', 0) < 60000
local must_slow = false
if ask.timed > 0 then
  if number('usual_ms', 0) == 0 then set('usual_ms', ask.took_ms); set('usual_token_ms', ask.token_ms); set('timed_at', now)
  elseif ask.late * 2 < ask.timed then
    local weight = math.min(0.2, ask.timed / 200)
    set('usual_ms', number('usual_ms', 0) * (1 - weight) + ask.took_ms * weight)
    set('usual_token_ms', number('usual_token_ms', 0) * (1 - weight) + ask.token_ms * weight)
  end
  local known, timed, late = number('usual_of', 0), number('timed', 0) + ask.timed, number('late', 0) + ask.late
  set('usual_of', math.min(1000, known + ask.timed))
  if now - number('timed_at', 0) >= 10000 and timed >= 20 then
    must_slow = known >= 50 and late >= 0.8 * timed
    local rounds = must_slow and number('late_rounds', 0) + 1 or 0
    if rounds > 2 then
      must_slow = false; rounds = 0; set('usual_ms', ask.took_ms); set('usual_token_ms', ask.token_ms)
    elseif must_slow then set('late_at', now) end
    set('late_rounds', rounds)
    is_late = must_slow; set('is_late', is_late and 1 or 0)
    timed = 0; late = 0; set('timed_at', now)
  end
  set('timed', timed); set('late', late)
end

-- Concurrency: x0.7 on throttling at most once per 5 s, never below a quarter of the last good value; x1.5 per clean 5 s.
-- The pace of rates that were refused though we kept to them: x0.7, too, to a quarter; x1.1 per clean 5 s.
local ceiling = ask.max_concurrency
local limit, pace = number('limit', 0), number('pace', 1)
if ask.throttled > 0 then
  if now - number('limit_at', 0) >= 5000 then
    if limit == 0 then limit = ceiling > 0 and ceiling or math.max(1, in_flight + ask.throttled); set('good', limit)
    elseif number('clean', 0) == 1 then set('good', limit) end
    limit = math.max(1, math.ceil(number('good', limit) / 4), math.floor(limit * 0.7))
    set('limit', limit); set('limit_at', now)
    if not is_explained then pace = math.max(0.25, pace * 0.7); set('pace', pace) end
  end
  set('clean', 0); set('throttled_at', now)
elseif must_slow then
  if limit == 0 then limit = ceiling > 0 and ceiling or math.max(1, in_flight); set('good', limit)
  elseif number('clean', 0) == 1 then set('good', limit) end
  limit = math.max(1, math.ceil(number('good', limit) / 4), math.floor(limit * 0.5))
  set('limit', limit); set('limit_at', now); set('clean', 0)
elseif not is_late and (limit > 0 or pace < 1) and now - math.max(number('throttled_at', 0), number('limit_at', 0), number('blocked', 0)) >= 5000 then
  pace = math.min(1, pace * 1.1); set('pace', pace)
  if limit > 0 then
    limit = math.ceil(limit * 1.5)
    -- What nobody needs any more is forgotten: then only the configured maximum holds.
    if (ceiling > 0 and limit >= ceiling) or (ceiling == 0 and limit > 4 * math.max(1, in_flight)) then limit = 0 end
    set('limit', limit); set('clean', 1)
  end
  set('limit_at', now)
end
if ceiling > 0 and (limit == 0 or limit > ceiling) then limit = ceiling end

-- The breaker. An epoch ends when it opens: what was begun in an earlier one says nothing about now.
local breaker, opened, epoch = state.breaker or 'closed', false, number('epoch', 0)
local ok, failed, ended = 0, 0, 0
if ask.epoch == epoch then ok, failed, ended = ask.ok, ask.failed, ask.ok + ask.failed + ask.undecided + ask.returned end
if breaker == 'open' and number('open_until', 0) <= now then
  breaker = 'half-open'; set('breaker', breaker); set('probes', 0); set('probes_ok', 0); set('probes_at', now)
elseif breaker == 'half-open' then
  -- A probe that came back undecided, or was not used, is free again; so are those of a killed pump, and after 30 s any.
  local probes = math.max(0, number('probes', 0) - ended)
  if now - number('probes_at', 0) > (in_flight == 0 and 2000 or 30000) then probes = 0; set('probes_at', now) end
  set('probes', probes)
end
-- Failures without an answer between them, however far apart: of a few calls, too, people can tell that it is down.
if ask.has_breaker then
  if ok > 0 then set('row', 0) elseif failed > 0 then set('row', number('row', 0) + failed) end
end
local function open()
  local length = breaker == 'half-open' and math.min(30000, number('open_ms', 10000) * 1.5) or 10000
  if breaker == 'closed' then set('before', math.max(1, in_flight, number('peak', 0))) end
  breaker, opened, epoch = 'open', true, epoch + 1
  set('breaker', breaker); set('epoch', epoch); set('open_ms', length); set('open_until', now + length)
  redis.call('DEL', KEYS[2])
end
if ask.has_breaker then
  if breaker == 'half-open' and failed > 0 then open()
  elseif breaker == 'half-open' and ok > 0 then
    set('probes_ok', number('probes_ok', 0) + ok)
    if number('probes_ok', 0) >= 3 then breaker = 'closed'; set('breaker', breaker); set('slow_from', now) end
  elseif breaker == 'closed' and (ok > 0 or failed > 0) then
    -- What a pump saw since its last word goes in as one run of at most 20, in proportion.
    local total = ok + failed
    local shown = math.min(20, total)
    local bad = math.floor(failed * shown / total + 0.5)
    for i = 1, shown do redis.call('LPUSH', KEYS[2], now .. (i <= bad and ',1' or ',0')) end
    redis.call('LTRIM', KEYS[2], 0, 19); redis.call('PEXPIRE', KEYS[2], 10000)
    local seen, bad_seen = 0, 0
    for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, 19)) do
      local at, is_bad = string.match(entry, '^(%d+),(%d)$')
      if now - tonumber(at) <= 10000 then seen = seen + 1; bad_seen = bad_seen + tonumber(is_bad) end
    end
    if seen >= 10 and bad_seen * 2 >= seen then open() end
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

-- The retry budget: retries can't amplify an outage. It fills by success, and slowly by itself.
local budget = number('budget', 500)
if budget < 500 or ask.retry_cost > 0 then
  budget = budget + (now - number('budget_at', now)) / 1000 + ask.ok - ask.retry_cost
  budget = math.max(0, math.min(500, budget))
  set('budget', budget); set('budget_at', now)
end

-- Rates: 98 % of the limit, one second of it at once, at least one request. Tokens may go into debt for a big call.
-- Where no limit is configured, what the provider says counts for a minute after it has refused us.
local blocked_until = number('blocked', 0)
local function level(name, per_minute, word, used, left)
  if per_minute == 0 and word > 0 and now - number('throttled_at', 0) < 60000 then per_minute = word end
  if per_minute == 0 then return nil, 0, 0 end
  if word > 0 then per_minute = math.min(per_minute, word) end
  local rate = per_minute * 0.98 / 60000 * factor * pace
  local most = math.max(1, rate * 1000)
  local have = math.min(most, number(name, most) + (now - number(name .. '_at', now)) * rate - used)
  -- After a minute a provider has forgotten whatever was used: no debt lasts longer, also not that of a call whose usage was told wrong.
  have = math.max(have, -60000 * rate)
  if left >= 0 then have = math.min(have, left) end
  -- Refused, there is nothing left, and nothing gathers until the block ends.
  if ask.throttled > 0 then have = math.min(have, 0) - math.max(0, blocked_until - now) * rate end
  return have, rate, most
end
local requests, request_rate, most_requests = level('requests', ask.requests_per_minute, told_requests, -ask.returned, ask.left_requests)
-- Tokens are bounded together, and what goes in and what comes out apart: a call needs room in each that has a limit.
local rates = {}
local function bound(name, word, used, wanted)
  local have, rate, most = level(name, ask[name .. '_per_minute'], word, used, ask['left_' .. name])
  local each = ask.want > 0 and wanted / ask.want or 0
  rates[name] = rate * 1000
  return have and { name = name, have = have, rate = rate, most = most, each = each } or nil
end
local bounds = {}
bounds[#bounds + 1] = bound('tokens', told_tokens, ask.input_delta + ask.output_delta, ask.want_input + ask.want_output)
bounds[#bounds + 1] = bound('input_tokens', told_input, ask.input_delta, ask.want_input)
bounds[#bounds + 1] = bound('output_tokens', told_output, ask.output_delta, ask.want_output)

-- Grant. A tenth is held back for interactive calls.
local grant, wait = ask.want, 100
local blocked = math.max(blocked_until, number('paused', 0), breaker == 'open' and number('open_until', 0) or 0)
local kept = ask.is_interactive and 0 or 0.1
if requests then
  local floor = most_requests >= 10 and most_requests * kept or 0
  grant = math.min(grant, math.max(0, math.floor(requests - floor)))
  if grant < 1 then wait = (1 + floor - requests) / request_rate end
end
for _, one in ipairs(bounds) do
  local have = one.have - one.most * kept
  grant = math.min(grant, have > 0 and math.max(1, math.floor(have / math.max(1, one.each))) or 0)
  if have <= 0 then wait = math.max(wait, (1 - have) / one.rate) end
end
if limit > 0 then
  local most = limit > 1 and math.max(1, math.floor(limit * (1 - kept))) or limit
  grant = math.min(grant, math.max(0, most - in_flight))
  if number('forgotten_until', 0) > now then grant = 0 end
end
local is_reserved = not ask.is_interactive and number('interactive', 0) > now
if is_reserved or number('hold', 0) > now then grant = 0 end
-- After a block one call at first, doubling each quarter of a second: whether it is over is not asked by hundreds at once.
local is_trial = is_on_trial()
if is_trial and blocked_until <= now then
  local since = number('trial_at', 0) > 0 and now - number('trial_at', 0) or 0
  grant = math.min(grant, math.max(0, math.floor(2 ^ (since / 250)) - number('trial', 0)))
  if grant > 0 then
    set('trial', number('trial', 0) + grant)
    if since == 0 then set('trial_at', now) end
  end
end
if blocked > now then grant = 0; wait = blocked - now end
if breaker == 'half-open' then
  grant = math.min(grant, math.max(0, 3 - number('probes', 0) - number('probes_ok', 0)))
  if grant > 0 then set('probes', number('probes', 0) + grant); set('probes_at', now) end
end
if ask.is_interactive and ask.is_waiting and grant < ask.want and blocked <= now then set('interactive', now + 2000) end
if requests then set('requests', requests - grant); set('requests_at', now) end
for _, one in ipairs(bounds) do set(one.name, one.have - grant * one.each); set(one.name .. '_at', now) end
set('pump:' .. ask.pump, string.format('%d,%d', ask.held + grant, now + 10000))

-- What people shall know of; told to the one pump that brought it about.
local happened = {}
if breaker ~= was_breaker then happened[#happened + 1] = breaker end
if number('blocked', 0) > now and not was_blocked then happened[#happened + 1] = 'blocked' end
if is_late and not was_late then happened[#happened + 1] = 'slow' end
if number('paused', 0) > now and not was_paused then happened[#happened + 1] = 'refused' end

local flat = {}
for name, value in pairs(changed) do flat[#flat + 1] = name; flat[#flat + 1] = value end
redis.call('HSET', KEYS[1], unpack(flat)); redis.call('PEXPIRE', KEYS[1], math.floor(3600000 + math.max(0, blocked - now)))
return cjson.encode({
  granted = grant, input_each = ask.want > 0 and ask.want_input / ask.want or 0, output_each = ask.want > 0 and ask.want_output / ask.want or 0,
  blocked_ms = math.max(0, blocked - now), paused_ms = math.max(0, number('paused', 0) - now),
  breaker = breaker, opened = opened, epoch = epoch, limit = limit, in_flight = in_flight + grant, pumps = pumps, budget = budget,
  wait_ms = math.max(1, math.min(wait, 60000)), rate_per_second = request_rate * 1000, tokens_per_second = rates.tokens,
  input_per_second = rates.input_tokens, output_per_second = rates.output_tokens,
  is_slow = factor < 1, is_reserved = is_reserved, is_bound = requests ~= nil or #bounds > 0 or is_trial,
  row = number('row', 0), usual_ms = number('usual_ms', 0), usual_token_ms = number('usual_token_ms', 0),
  happened = table.concat(happened, ' '),
})
