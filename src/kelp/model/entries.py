"""Entries: whole records as their source keeps them, between a source that is no file and columns.

journald and the kernel give records one by one, each with fields of its own; what they mean is
settled when they become `Lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from kelp.model.raw import Instance

T = TypeVar("T")


@dataclass(frozen=True)
class Entries(Generic[T]):
    """n entries in the order of their positions, those of one instance strictly rising."""

    rows: Sequence[T]  # (n,)
    instances: Sequence[Instance]  # (n,)
    positions: Sequence[int]  # (n,)
    size_bytes: int  # read for them
    observed_ns: int
