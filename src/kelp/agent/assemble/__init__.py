"""assemble: fragments to records."""
