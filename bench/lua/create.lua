-- A booking of one seat, on any of the flights.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

function request()
  return create(one_of(world.flights), next_user())
end
