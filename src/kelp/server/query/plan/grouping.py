"""Which labels a range aggregation keeps, and so what has to be known of a record.

A grouping that stands around a sum of counts may as well be applied to the records: Loki pushes it
down, and what its parsers then leave alone shows in the answers (see pipeline.hints).
"""

from __future__ import annotations

from dataclasses import dataclass

from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.compile import filter_labels, required_labels
from kelp.server.query.pipeline.hints import ALL, Hints, hints_of

_ADDITIVE = frozenset({"bytes_over_time", "bytes_rate", "sum_over_time", "rate", "count_over_time"})


@dataclass(frozen=True, slots=True)
class Kept:
    """`grouping` None: all labels, save the unwrapped one; `no_labels`: none at all."""

    grouping: ast.Grouping | None
    no_labels: bool
    hints: Hints

    @property
    def names(self) -> tuple[str, ...] | None:
        """The labels that are kept, where they are known by name."""
        if self.no_labels:
            return ()
        if self.grouping is None or self.grouping.without:
            return None
        return self.grouping.labels


def is_additive(outer: str, inner: ast.RangeAggregation) -> bool:
    """Whether the grouping of `outer` over `inner` may be applied to the records already."""
    return outer == "sum" and inner.op in _ADDITIVE and inner.grouping is None


def kept_labels(node: ast.RangeAggregation, outer: ast.Grouping | None, pushed: bool) -> Kept:
    """What `node` keeps; `pushed`: it stands in a sum with the grouping `outer`."""
    grouping = (outer or ast.Grouping(())) if pushed else node.grouping
    no_labels = node.op == "absent_over_time" or (
        grouping is not None and not grouping.without and not grouping.labels
    )
    hints = _hints(node, grouping, no_labels)
    unwrap = node.range.unwrap
    if unwrap and (grouping is None or grouping.without or not grouping.labels):
        labels = (*(grouping.labels if grouping and grouping.without else ()), unwrap.label)
        grouping = ast.Grouping(labels, without=True)
    return Kept(grouping, no_labels, hints)


def _hints(node: ast.RangeAggregation, grouping: ast.Grouping | None, no_labels: bool) -> Hints:
    names = required_labels(node.range.query.stages)
    labels = list(grouping.labels) if grouping else []
    if unwrap := node.range.unwrap:
        names.extend(n for f in unwrap.filters for n in filter_labels(f))
        labels = [*labels, unwrap.label]
    if no_labels:
        return hints_of([*names, *labels])
    by_name = grouping is not None and not grouping.without and bool(grouping.labels)
    return hints_of([*names, *labels]) if by_name else ALL
