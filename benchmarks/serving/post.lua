-- wrk: POST the bodies of a file in turn. BODIES names the file, one JSON body a line.
local bodies = {}
local turn = 0

local function read()
  for line in io.lines(os.getenv("BODIES")) do
    bodies[#bodies + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, line)
  end
end

request = function()
  if #bodies == 0 then read() end -- only now wrk knows the Host header
  turn = turn % #bodies + 1
  return bodies[turn]
end

done = function(summary, latency)
  local bad = summary.errors
  io.write(string.format('\n{"answered": %d, "refused": %d, "broken": %d, "us": %d, "p50_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.requests, bad.status, bad.connect + bad.read + bad.write + bad.timeout, summary.duration,
    latency:percentile(50), latency:percentile(99), latency.max))
end
