"""All that a bundle has of a node, in the order in which it is most needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kelp.base.clock import Clock
from kelp.base.redact import Redactor
from kelp.base.settings import Agent
from kelp.node.bundle.commands import journal_entries, version_entries
from kelp.node.bundle.disks import disk_entries
from kelp.node.bundle.entry import Entry
from kelp.node.bundle.folders import folder_entries
from kelp.node.bundle.kernel import kernel_entries
from kelp.node.bundle.problems import problem_entries
from kelp.node.bundle.reports import report_entries
from kelp.node.host.reading import Roots, read_bytes


def node_entries(agent: Agent, roots: Roots, clock: Clock, redactor: Redactor) -> Iterator[Entry]:
    """What the node says; what Kelp's agent says of itself is for the caller to add."""
    yield from version_entries(roots)
    yield from disk_entries(roots)
    yield from report_entries(roots, clock, redactor)
    yield Entry("node/meminfo.txt", lambda: read_bytes(roots.proc / "meminfo") or b"")
    yield from kernel_entries(Path(agent.kmsg.path), clock)
    yield from problem_entries(Path(agent.kmsg.path), agent.journal)
    yield from folder_entries(roots.pods)
    yield from journal_entries(agent.journal)
