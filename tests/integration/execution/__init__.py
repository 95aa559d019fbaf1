"""Commands as real process trees."""
