"""parse: what a body says of itself."""
