"""store: ClickHouse, embedded or a cluster, the same SQL."""
