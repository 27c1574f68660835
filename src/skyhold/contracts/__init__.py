"""What crosses the wire between the two services. Additive only: old readers must cope."""
