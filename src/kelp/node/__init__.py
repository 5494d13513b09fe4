"""Forensics on a node: what its kernel and its runtime did, read from their own words."""
