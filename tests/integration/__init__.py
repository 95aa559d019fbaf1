"""Tests with real processes, servers and repositories."""
