"""Collect: container log files to batches of raw bytes, each byte once, in the order written.

The stage ends at whole lines: it knows files, rotations, positions and losses, and nothing of what
stands in a line but the time in front of it, which it needs to say when bytes were lost.
"""

from kelp.agent.collect.collector import FileLogCollector, LinkedLogCollector, PodLogCollector
from kelp.agent.collect.journal import JournalCollector
from kelp.agent.collect.kmsg import KmsgCollector

__all__ = [
    "FileLogCollector",
    "JournalCollector",
    "KmsgCollector",
    "LinkedLogCollector",
    "PodLogCollector",
]
