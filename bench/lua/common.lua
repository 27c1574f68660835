-- What every script shares: the world it acts in, the count of answers, the report at the end.
-- One thread has one Lua state, so whatever a script counts is counted for all connections.

world = dofile(os.getenv("BENCH_WORLD"))

statuses = {}
operations = nil -- a script that counts something else than requests sets it
sample = "" -- of the first answer that was not a success
local turn = 0

function bearer(user)
  return { ["authorization"] = "Bearer " .. world.tokens[user], ["content-type"] = "application/json" }
end

-- Users take turns, so that each of them has few unpaid bookings.
function next_user()
  turn = turn % #world.tokens + 1
  return turn
end

function one_of(list)
  return list[math.random(#list)]
end

-- The passenger's name tells whose booking it is: wrk does not say whom an answer is for.
function create(flight, user)
  local body = '{"segments":[{"flight_id":"' .. flight .. '"}],"passengers":[{"given_name":"Ada","family_name":"Nr'
    .. user .. '"}]}'
  return wrk.format("POST", "/api/v1/bookings", bearer(user), body)
end

-- What was booked and is to be gone on with, the oldest first.
local queue, first, last = {}, 1, 0

function later(booking)
  last = last + 1
  queue[last] = booking
end

function next_booking()
  local booking = queue[first]
  if booking then
    queue[first] = nil
    first = first + 1
  end
  return booking
end

function booked(body)
  return { id = body:match('"id":"([^"]+)"'), user = tonumber(body:match('"Nr(%d+)"')) }
end

function count(status, body)
  statuses[tostring(status)] = (statuses[tostring(status)] or 0) + 1
  if status >= 300 and sample == "" then
    sample = body
  end
end

function response(status, headers, body)
  count(status, body)
end

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

local function object(counts)
  local parts = {}
  for name, value in pairs(counts) do
    parts[#parts + 1] = string.format('"%s":%d', name, value)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', "'") .. '"'
end

function done(summary, latency, requests)
  local thread = threads[1]
  io.write(string.format(
    'BENCH {"operations":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"errors":%s,"statuses":%s,"sample":%s}\n',
    thread:get("operations") or summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), object(summary.errors), object(thread:get("statuses")),
    quoted(thread:get("sample"))))
end
