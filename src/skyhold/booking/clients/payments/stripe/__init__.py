"""Stripe as the payment provider; imports Stripe's library, so it is loaded only where used."""
