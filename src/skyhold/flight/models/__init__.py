"""Tables, statuses, layouts, pure arithmetic."""
