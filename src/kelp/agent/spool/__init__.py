"""spool: durable from here."""

from kelp.agent.spool.disk import Disk
from kelp.agent.spool.errors import (
    DamageError,
    DiskFailedError,
    DiskFullError,
    SpoolError,
    SpoolFullError,
)
from kelp.agent.spool.index import Entry
from kelp.agent.spool.spool import Payload, Spool
from kelp.agent.spool.vault import Vault

__all__ = [
    "DamageError",
    "Disk",
    "DiskFailedError",
    "DiskFullError",
    "Entry",
    "Payload",
    "Spool",
    "SpoolError",
    "SpoolFullError",
    "Vault",
]
