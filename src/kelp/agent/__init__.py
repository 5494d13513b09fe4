"""What runs on every node: collect → assemble → parse → enrich → process → spool → ship."""
