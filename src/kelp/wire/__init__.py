"""Protocols: bytes ↔ LogBatch, one file each, no I/O."""
