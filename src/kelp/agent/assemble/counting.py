"""What is counted of finished records, whatever they were made of."""

from __future__ import annotations

from kelp.agent.assemble import metrics
from kelp.model.batch import ATTR_INVALID_UTF8, ATTR_TRUNCATED
from kelp.model.lines import Lines


def counted(lines: Lines) -> Lines:
    """The same lines, their cut and broken bodies counted."""
    cut_bytes = [int(m[ATTR_TRUNCATED]) for m in lines.marks.values() if ATTR_TRUNCATED in m]
    metrics.TRUNCATED.inc(len(cut_bytes))
    metrics.TRUNCATED_BYTES.inc(sum(cut_bytes))
    metrics.INVALID_UTF8.inc(sum(ATTR_INVALID_UTF8 in m for m in lines.marks.values()))
    return lines
