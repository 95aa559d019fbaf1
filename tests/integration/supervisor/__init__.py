"""Starting, keeping and stopping what a fleet is made of."""
