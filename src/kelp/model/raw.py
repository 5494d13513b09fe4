"""RawBatch: bytes as they were read from many files, before anything is known of their lines.

Many small files are read into one buffer, so that what follows costs by batch and not by file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Instance:
    """One run of one container: the domain in which positions are ordered.

    `key` names it for ever (namespace, pod uid, container, restart); `labels` are those of its
    streams without `stream`, all known from the file's path and the agent's settings.
    """

    key: str
    labels: dict[str, str]


@dataclass(frozen=True)
class RawBatch:
    """Pieces of whole lines, one after the other in one buffer; piece i is data[starts[i]:ends[i]].

    A piece comes from one file of one instance and ends with a newline, save where the file ended
    for ever without one. Pieces of one instance stand in the order of their positions. Lines end
    with a single 0x0a.
    """

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]  # (pieces,)
    ends: npt.NDArray[np.int64]  # (pieces,)
    positions: npt.NDArray[np.uint64]  # (pieces,) of the piece's first byte in its instance
    cut_bytes: npt.NDArray[np.int64]  # (pieces,) > 0: one line, of which so many bytes were cut
    instances: Sequence[Instance]  # (pieces,)
    observed_ns: int

    @property
    def size_bytes(self) -> int:
        """What was read for it."""
        return int((self.ends - self.starts).sum())
