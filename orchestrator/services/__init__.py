"""What the fleet does: each module is one use of it, over the ports and the pure rules."""
