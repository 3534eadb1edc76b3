-- wrk: POST the bodies of a file in turn. BODIES names the file, one JSON body a line. A body with an `id` of eight digits is sent with
-- another one each time, from FIRST_ID on.
local bodies = {}
local rest = {} -- what stands behind the id, where there is one
local first = tonumber(os.getenv("FIRST_ID") or "0")
local turn = 0

local function read()
  for line in io.lines(os.getenv("BODIES")) do
    local whole = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, line)
    local before, after = whole:match('^(.*"id": )%d%d%d%d%d%d%d%d(%D.*)$')
    bodies[#bodies + 1] = before or whole
    rest[#bodies] = after
  end
end

request = function()
  if #bodies == 0 then read() end -- only now wrk knows the Host header
  turn = turn + 1
  local at = turn % #bodies + 1
  if rest[at] == nil then return bodies[at] end
  return bodies[at] .. string.format("%d", 10000000 + (first + turn) % 90000000) .. rest[at]
end

done = function(summary, latency)
  local bad = summary.errors
  io.write(string.format('\n{"answered": %d, "refused": %d, "broken": %d, "us": %d, "p50_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.requests, bad.status, bad.connect + bad.read + bad.write + bad.timeout, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max))
end
