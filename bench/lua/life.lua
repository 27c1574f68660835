-- A booking is made, read and cancelled; so seats never run out, however long it goes on.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

function request()
  local booking = next_booking()
  if not booking then
    return create(one_of(world.flights), next_user())
  end
  local path = "/api/v1/bookings/" .. booking.id
  if booking.read then
    return wrk.format("DELETE", path, bearer(booking.user))
  end
  later({ id = booking.id, user = booking.user, read = true })
  return wrk.format("GET", path, bearer(booking.user))
end

function response(status, headers, body)
  count(status, body)
  if status == 201 then
    later(booked(body))
  end
end
