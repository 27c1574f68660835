-- One booking, asked for by the one who made it.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

function request()
  local booking = one_of(world.bookings)
  return wrk.format("GET", "/api/v1/bookings/" .. booking.id, bearer(booking.user))
end
