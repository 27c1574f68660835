"""The flight service: the schedule, seat maps, fares, and who holds which seat."""
