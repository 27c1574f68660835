-- The flights of a route on a day.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

function request()
  return wrk.format("GET", "/api/v1/flights?" .. one_of(world.searches))
end
