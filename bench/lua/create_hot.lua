-- A booking of one seat, for everybody on the same flight; when all its seats have been asked for,
-- everybody goes on to the next one together.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

local asked = 0

function request()
  local flight = world.flights[math.floor(asked / world.seats) + 1]
  asked = asked + 1
  return create(flight, next_user())
end
