"""LogQL as text and tree: tokens, parser, expressions, printer. Knows nothing of SQL or of data."""
