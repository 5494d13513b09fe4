"""Pieces of ClickHouse SQL that a plan is made of: text in, text out."""
