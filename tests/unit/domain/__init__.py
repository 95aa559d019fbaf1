"""The rules of the fleet."""
