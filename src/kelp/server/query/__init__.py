"""query: LogQL to SQL."""
