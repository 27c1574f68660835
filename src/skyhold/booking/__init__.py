"""The booking service: users, bookings, payments."""
