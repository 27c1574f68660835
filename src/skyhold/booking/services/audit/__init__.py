"""Comparing our bookings with the flight service's holds and with the provider's payments."""
