"""Measurements that print what they saw; none of them is a test."""
