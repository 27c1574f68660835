-- A booking, and its payment: whatever has been booked is paid first.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

operations = 0

function request()
  local booking = next_booking()
  if not booking then
    return create(one_of(world.flights), next_user())
  end
  local body = '{"booking_id":"' .. booking.id .. '","payment_token":"tok_visa"}'
  return wrk.format("POST", "/api/v1/bookings/payments", bearer(booking.user), body)
end

function response(status, headers, body)
  count(status, body)
  if body:find('"booking":{', 1, true) then
    operations = operations + 1
  elseif status == 201 then
    later(booked(body))
  end
end
