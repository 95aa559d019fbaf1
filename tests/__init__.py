"""Everything that shows Shopfloor does what it says."""
