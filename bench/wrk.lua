-- The script of one thread of wrk. The file that wrk is given sets `plan` and then runs this one:
--   plan.first    the first call: method, path, body
--   plan.before   nil, or a call that takes turns with the first
--   plan.delete   nil, or how to delete a message, with %s for its id
--   plan.settles  whether this deletes all messages of a response, with %s for the list of their receipts
--   plan.headers  of every call
--   plan.tokens   values of the header Authorization, taken in turn
--   plan.key      nil, or the beginning of the header Idempotency-Key; a number below plan.keys follows, in turn
--   plan.first_id nil, or the id for %s in the first call; the next call has the next one
-- wrk does not tell which connection an answer belongs to, so ids wait in one list and any connection deletes them.

local threads = {}
local requests, turn, before = {}, 0, false
local next_id, next_key = tonumber(plan.first_id), 0
local ids, oldest = {}, 1
local KEY = '"msg_id":'

deleted, sent, refused, empty, complaint = 0, 0, 0, 0, ""

function setup(thread)
  table.insert(threads, thread)
end

local function headers_of(token)
  local headers = {}
  for name, value in pairs(plan.headers) do headers[name] = value end
  if token ~= "" then headers["Authorization"] = token end
  return headers
end

function init()
  local first = plan.first
  for number, token in ipairs(plan.tokens) do
    requests[number] = { headers = headers_of(token) }
    requests[number].first = wrk.format(first.method, first.path, requests[number].headers, first.body)
    local other = plan.before
    requests[number].before = other and wrk.format(other.method, other.path, requests[number].headers, other.body)
  end
  wrk.method, wrk.path, wrk.body, wrk.headers = first.method, first.path, first.body, requests[1].headers
end

local function naming(call, id)
  local body = call.body and call.body:format(id)
  return wrk.format(call.method, call.path:format(id), requests[turn].headers, body)
end

local function keyed()
  local headers = requests[turn].headers
  headers["Idempotency-Key"] = ('"%s%d"'):format(plan.key, next_key)
  next_key = (next_key + 1) % tonumber(plan.keys)
  return wrk.format(plan.first.method, plan.first.path, headers, plan.first.body)
end

local function next_request()
  turn = turn % #requests + 1
  if plan.key then return keyed() end
  if next_id then
    next_id = next_id + 1
    return naming(plan.first, next_id - 1)
  end
  if oldest > #ids then
    before = not before
    return before and requests[turn].before or requests[turn].first
  end
  oldest = oldest + 1
  return naming(plan.delete, ids[oldest - 1])
end

local function remember(body)
  if oldest > #ids then ids, oldest = {}, 1 end
  if plan.settles then
    local receipts = {}
    for receipt in body:gmatch('"receipt":%s*("[^"]*")') do receipts[#receipts + 1] = receipt end
    ids[#ids + 1] = table.concat(receipts, ",")
    return
  end
  local _, stop = body:find(KEY, 1, true)
  while stop do
    ids[#ids + 1] = body:match("^%s*(%d+)", stop + 1)
    _, stop = body:find(KEY, stop, true)
  end
end

local function take(status, _, body)
  if status < 200 or status > 299 then
    refused = refused + 1
    complaint = status .. " " .. (body or ""):sub(1, 200)
  elseif body == nil or body == "" or body == "true" then
    deleted = deleted + 1
  elseif body == "false" then
    refused = refused + 1
    complaint = "delete answered false"
  elseif body:find(KEY, 1, true) then
    remember(body)
  elseif body:find('"outcome":', 1, true) then
    local _, acked = body:gsub('"outcome":%s*"acked"', "")
    deleted = deleted + acked
  elseif plan.before and body:find("^%[%d+%]$") then
    sent = sent + 1
  else
    empty = empty + 1
  end
end

-- Only defined where they are needed: without them wrk sends one prepared request and skips the answers' bodies.
if plan.delete or plan.key or next_id or #plan.tokens > 1 then request = next_request end
if plan.delete then response = take end

function done(summary, latency)
  local sums = { deleted = 0, sent = 0, refused = 0, empty = 0 }
  for _, thread in ipairs(threads) do
    for name, sum in pairs(sums) do sums[name] = sum + thread:get(name) end
    if thread:get("complaint") ~= "" then complaint = thread:get("complaint") end
  end
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p95": %d, "p99": %d, "deleted": %d, "sent": %d, ' ..
    '"refused": %d, "empty": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d, "complaint": %q}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(95), latency:percentile(99),
    sums.deleted, sums.sent, sums.refused, sums.empty, errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    complaint:gsub('[^%w%s.,:_()/-]', " "):gsub("%s+", " ")))
end
