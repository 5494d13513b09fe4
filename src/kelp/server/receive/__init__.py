"""receive: requests to durable batches."""
