"""Where fleets and repositories are."""
