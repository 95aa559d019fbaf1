"""Does: carries out the steps of a task in a workspace. Decides nothing."""
