"""A small calculator."""
