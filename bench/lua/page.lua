-- One page, as whoever made a booking sees it. {booking}, {flight} and {search} are filled in.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

local page = os.getenv("BENCH_PAGE")

function request()
  local booking = one_of(world.bookings)
  local path = page:gsub("{booking}", booking.id)
  path = path:gsub("{flight}", one_of(world.half_sold)):gsub("{search}", one_of(world.searches))
  local headers = {
    ["cookie"] = "skyhold_access=" .. world.tokens[booking.user],
    ["accept-encoding"] = "gzip",
  }
  return wrk.format("GET", path, headers)
end
