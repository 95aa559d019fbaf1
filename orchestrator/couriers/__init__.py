"""Adapters of the courier's port."""
