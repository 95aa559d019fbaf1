"""Starts what a fleet is made of on this machine, keeps it running, and stops all of it."""
