"""spool: durable from here."""
