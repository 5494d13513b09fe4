"""store: ClickHouse, embedded or a cluster, the same SQL.

`opening.open_store` gives a Store; what others may ask of it stands in `kelp.server.ports`. The
tables are those of migrations/*.sql; `needle` knows their indexes, `retention` empties them, and
`sql` lets people ask in SQL without letting them out of their own records.
"""
