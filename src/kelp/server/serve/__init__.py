"""serve: the HTTP surface."""
