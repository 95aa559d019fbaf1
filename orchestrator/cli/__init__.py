"""The `shopfloor` command: asks a desk, and shows a person what it says."""
