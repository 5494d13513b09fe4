"""How far the journal was read, as the bytes that the pipeline commits."""

from __future__ import annotations

from kelp.agent.collect.books import SourcePlace


class Place(SourcePlace, frozen=True, kw_only=True, omit_defaults=True):
    """Behind which entry to go on.

    `next` is the position of the next entry: the first one of all has its time in microseconds, and
    from there they are counted. So positions rise also over a start without checkpoints, as long as
    there are fewer than a million entries a second.
    """

    cursor: str = ""  # of the last entry that was given out; empty: there is none, or it is no use
    realtime_us: int = 0  # its time
    next: int = 0
    filter: str = ""  # what was asked for: another filter may not show the same entry again
