"""Fields without a parser: `{format="ingress-nginx"} | status="500"`, and `by (status)` alone.

Where a query uses a name that the formats of its streams know as a field, and no parser stands
before that use, it means as much as if `| fields` stood there; but what it makes labels of are the
names that the query uses, and nothing else. A query without such names stays as it is, and so does
one over streams that were pushed: there, LogQL means what Loki means by it.

Which names are used is known from the query, which of them are fields from its streams. So names
that stand around a range aggregation are noted at the end of its pipeline first (`with_uses`), and
settled when its streams are known (`settled`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kelp.base.formats import Format
from kelp.base.formats.format import Rest
from kelp.server.query.derived import DETECTED_LEVEL, SERVICE_NAME
from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.compile import filter_labels, required_labels
from kelp.server.query.pipeline.line_fields import EVENT_TIME, IDS, format_name, format_named
from kelp.server.query.pipeline.row import EXTRACTED
from kelp.server.query.streams import Selected

_PARSERS = (ast.Json, ast.Logfmt, ast.Regexp, ast.Pattern, ast.Unpack)
_PASSING = frozenset({"topk", "bottomk", "approx_topk", "sort", "sort_desc"})

# What agents call their streams: whoever says `by (node)` means the node, where a stream has none
# as well. A field of such a name is to be had by `| fields`.
_OF_STREAMS = frozenset({
    "app", "boot_id", "cluster", "container", "dataset", "filename", "format", "namespace", "node",
    "pod", "pod_uid", "problem", "restart", "stream", "unit", SERVICE_NAME, DETECTED_LEVEL,
})  # fmt: skip
# What agents mark records with (kelp.truncated …, problem_device, oom_pid), and what queries make
# themselves (__error__ …).
_NO_FIELDS = ("kelp_", "problem_", "oom_", "__")


# --- names that stand around -------------------------------------------------------------------


def with_uses(node: ast.Metric, names: Iterable[str] = ()) -> ast.Metric:
    """The expression; pipelines within it know which labels are used of what they give."""
    match node:
        case ast.RangeAggregation():
            return _noted(node, names)
        case ast.VectorAggregation():
            inner = with_uses(node.expression, _below(node, names))
        case ast.LabelReplace():
            inner = with_uses(node.expression, {*names, node.src} - {node.dst})
        case ast.BinaryOperation():
            return _both_sides(node, names)
        case _:
            return node
    return node if inner is node.expression else replace(node, expression=inner)


def _below(node: ast.VectorAggregation, names: Iterable[str]) -> set[str]:
    by = node.grouping
    if by is not None and by.without:
        return set(names) - set(by.labels)
    if node.op in _PASSING:
        return {*names, *(by.labels if by else ())}
    return set(by.labels) if by else set()


def _both_sides(node: ast.BinaryOperation, names: Iterable[str]) -> ast.BinaryOperation:
    matching = node.matching
    used = {*names, *matching.include, *((matching.labels or ()) if matching.on else ())}
    left, right = with_uses(node.left, used), with_uses(node.right, used)
    if left is node.left and right is node.right:
        return node
    return replace(node, left=left, right=right)


def _noted(node: ast.RangeAggregation, names: Iterable[str]) -> ast.RangeAggregation:
    unwrap, by = node.range.unwrap, node.grouping
    used = set(names)
    if by is not None:
        used = used - set(by.labels) if by.without else set(by.labels)
    if unwrap:
        used |= {unwrap.label, *(n for f in unwrap.filters for n in filter_labels(f))}
    if not used or any(isinstance(s, _PARSERS) for s in node.range.query.stages):
        return node
    query = node.range.query
    noted = replace(query, stages=(*query.stages, ast.Fields(tuple(sorted(used)), implied=True)))
    return replace(node, range=replace(node.range, query=noted))


# --- where the streams are known ---------------------------------------------------------------


def settled(
    stages: Sequence[ast.Stage], streams: Mapping[int, Mapping[str, str]]
) -> tuple[ast.Stage, ...]:
    """The stages, with a `fields` that is implied where it belongs, if there is one."""
    written = tuple(s for s in stages if not (isinstance(s, ast.Fields) and s.implied))
    after = [n for s in stages if isinstance(s, ast.Fields) and s.implied for n in s.names]
    use = _Uses(streams)
    for number, stage in enumerate(written):
        if isinstance(stage, (*_PARSERS, ast.Fields)):
            break
        use.see(number, stage)
    else:
        use.names(len(written), after)
    if not use.wanted:
        return written
    implied = ast.Fields(tuple(sorted(use.wanted)), implied=True)
    return (*written[: use.place], implied, *written[use.place :])


def settled_range(node: ast.RangeAggregation, selected: Selected) -> ast.RangeAggregation:
    """The same of the pipeline under a range aggregation."""
    query = node.range.query
    stages = settled(query.stages, selected.labels)
    return replace(node, range=replace(node.range, query=replace(query, stages=stages)))


@dataclass
class _Uses:
    """Which names are used as fields, and before which stage their parser has to stand."""

    streams: Mapping[int, Mapping[str, str]]

    def __post_init__(self) -> None:
        self.wanted: set[str] = set()
        self.place = 0
        self._made: set[str] = set()  # labels that a stage has set or taken away
        self._line_ends: int | None = None  # where the line is rewritten
        self._offer: _Offer | None = None

    def see(self, number: int, stage: ast.Stage) -> None:
        """One stage, the next."""
        self.names(number, required_labels([stage]))
        if isinstance(stage, ast.LineFormat) and self._line_ends is None:
            self._line_ends = number
        if isinstance(stage, ast.LabelFormat):
            self._made |= {a.name for a in stage.assignments}
            self._made |= {a.value for a in stage.assignments if a.rename}
        elif isinstance(stage, ast.Drop):
            self._made |= {item for item in stage.items if isinstance(item, str)}

    def names(self, number: int, used: Iterable[str]) -> None:
        """Names that are used before the stage of this number runs."""
        found = {n for n in used if n not in self._made and self._is_field(n)}
        if found and not self.wanted:
            self.place = number if self._line_ends is None else self._line_ends
        self.wanted |= found

    def _is_field(self, name: str) -> bool:
        plain = name.removesuffix(EXTRACTED)
        if not plain or name in _OF_STREAMS or name.startswith(_NO_FIELDS):
            return False
        if any(name in labels for labels in self.streams.values()):
            return False
        if self._offer is None:
            self._offer = _Offer.of(self.streams.values())
        return self._offer.has(plain)


@dataclass(frozen=True)
class _Offer:
    """The fields of the formats of some streams; `ids` where any of them is read at all."""

    ids: bool
    anything: bool  # a format takes names as they come (JSON, logfmt)
    names: frozenset[str]

    @classmethod
    def of(cls, streams: Iterable[Mapping[str, str]]) -> _Offer:
        found = {format_name(labels) for labels in streams} - {None}
        formats = [known for name in found if (known := format_named(name or ""))]
        return cls(
            bool(found),
            any(known.rest is not Rest.NOTHING for known in formats),
            frozenset(name for known in formats for name in _names(known)),
        )

    def has(self, name: str) -> bool:
        """Whether a line may have a field of this name."""
        return name in self.names or self.anything or (self.ids and name in IDS)


def _names(known: Format) -> Iterable[str]:
    return [*known.fields, *([EVENT_TIME] if known.event_time else [])]
