"""ship: segments to a Kelp server."""
