-- The seats of a flight that is half sold.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

function request()
  return wrk.format("GET", "/api/v1/flights/" .. one_of(world.half_sold) .. "/seats")
end
