"""The other parties: the flight service and the payment provider."""
