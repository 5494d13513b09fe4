"""collect: sources of bytes, and where each byte stood."""
