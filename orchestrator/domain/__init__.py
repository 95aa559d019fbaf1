"""Pure rules of the fleet: no input or output, no clock, no random, no environment."""
