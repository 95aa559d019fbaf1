"""Adapters of the agent port."""
