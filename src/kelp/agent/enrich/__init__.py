"""enrich: who wrote it."""
