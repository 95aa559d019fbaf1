"""Tests of the command line as processes, with a real Redis server."""
