"""Tests of the mirror, the local forge and the workspaces on real repositories."""
