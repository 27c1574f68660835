-- The floor: an endpoint that verifies a token and answers.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")

function request()
  return wrk.format("GET", "/", bearer(next_user()))
end
