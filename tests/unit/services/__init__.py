"""What the fleet does: the services, over the store in memory, a courier that remembers, and a clock that is moved."""
