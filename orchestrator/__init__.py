"""Decides: keeps the state of the fleet, hands out work, lands what passed. Runs no agent."""
