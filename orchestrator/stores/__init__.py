"""Adapters of the store's port."""
