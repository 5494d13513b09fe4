"""Enrich: who a record is from. Gives each its stream, and makes the batch of them."""

from kelp.agent.enrich.enricher import Enricher

__all__ = ["Enricher"]
