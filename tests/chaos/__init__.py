"""Chaos: a whole fleet under seeded faults, and a checker that believes only what it reads for itself."""
