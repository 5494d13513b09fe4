"""The tree of a query. Frozen values: equal queries are equal trees, and a tree can be a cache key.

Durations are nanoseconds, sizes bytes. What a query may mean is checked by the parser; a tree that
it gave is sound, save for what only a stage's own language decides (templates, JSON paths).

Each node knows the place of the text that it was read from, for errors to name it. The place is no
part of what a node says: it counts neither in comparisons nor in hashes, and is not printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from kelp.server.query.logql.errors import NOWHERE, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`at` is where the node begins in its text; NOWHERE in a tree that no text was read for."""

    at: Place = field(default=NOWHERE, compare=False, repr=False)


# --- selectors and line filters ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Matcher(Node):
    """`name op "value"`; op is one of = != =~ !~. A regexp matches the whole value."""

    name: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class LineTerm(Node):
    """One operand of a line filter: a text, regexp or pattern, or with `ip` an address pattern."""

    text: str
    ip: bool = False


@dataclass(frozen=True, slots=True)
class LineFilter(Node):
    """`op a or b …`; op is one of |= != |~ !~ |> !>. A negative one drops what any term matches."""

    op: str
    terms: tuple[LineTerm, ...]


# --- parsers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Extraction(Node):
    """`name="path"` of `json` and `logfmt`."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Json(Node):
    """`json`, all fields or the named paths."""

    extractions: tuple[Extraction, ...] = ()


@dataclass(frozen=True, slots=True)
class Logfmt(Node):
    """`logfmt`, all fields or the named ones."""

    strict: bool = False
    keep_empty: bool = False
    extractions: tuple[Extraction, ...] = ()


@dataclass(frozen=True, slots=True)
class Regexp(Node):
    """`regexp "…"`: named groups become labels."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Pattern(Node):
    """`pattern "…"`: captures `<name>` between literals become labels."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Unpack(Node):
    """`unpack`: the strings of a packed JSON line become labels, `_entry` the line."""


@dataclass(frozen=True, slots=True)
class Fields(Node):
    """`fields`, Kelp's own: what the line's format says it holds; all of it or the named ones.

    An `implied` one was not written: the names are those that stand around it and may be fields
    (see plan.implicit). It stands in no printed query.
    """

    names: tuple[str, ...] = ()
    implied: bool = False


# --- label filters ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NumberFilter(Node):
    """Compares a label as a number; op is one of = != > >= < <= (`==` is read as `=`)."""

    name: str
    op: str
    value: float


@dataclass(frozen=True, slots=True)
class DurationFilter(Node):
    """Compares a label as a duration, in nanoseconds."""

    name: str
    op: str
    value: int


@dataclass(frozen=True, slots=True)
class BytesFilter(Node):
    """Compares a label as a size, in bytes."""

    name: str
    op: str
    value: int


@dataclass(frozen=True, slots=True)
class IpFilter(Node):
    """Finds an address of a pattern (address, range, CIDR) in a label; op is = or !=."""

    name: str
    op: str
    pattern: str


@dataclass(frozen=True, slots=True)
class And(Node):
    """Both, the left one first; both always run, for either may note an error."""

    left: Filter
    right: Filter


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Either; the right one runs only where the left does not hold."""

    left: Filter
    right: Filter


Filter: TypeAlias = Matcher | NumberFilter | DurationFilter | BytesFilter | IpFilter | And | Or


@dataclass(frozen=True, slots=True)
class LabelFilter(Node):
    """A filter as a stage."""

    filter: Filter


# --- formats ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineFormat(Node):
    """`line_format "template"`."""

    template: str


@dataclass(frozen=True, slots=True)
class LabelAssignment(Node):
    """`name=source` (rename) or `name="template"`."""

    name: str
    value: str
    rename: bool


@dataclass(frozen=True, slots=True)
class LabelFormat(Node):
    """`label_format …`."""

    assignments: tuple[LabelAssignment, ...]


@dataclass(frozen=True, slots=True)
class Decolorize(Node):
    """`decolorize`: takes ANSI colour codes out of the line."""


@dataclass(frozen=True, slots=True)
class Drop(Node):
    """`drop a, b="x"`: a name always, a matcher where it holds."""

    items: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class Keep(Node):
    """`keep a, b="x"`."""

    items: tuple[str | Matcher, ...]


Stage: TypeAlias = (
    LineFilter
    | Json
    | Logfmt
    | Regexp
    | Pattern
    | Unpack
    | Fields
    | LabelFilter
    | LineFormat
    | LabelFormat
    | Decolorize
    | Drop
    | Keep
)


# --- queries ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogQuery(Node):
    """`{selector} stages…`."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Unwrap(Node):
    """`unwrap label` or `unwrap conversion(label)`, with the filters behind it."""

    label: str
    conversion: str = ""  # "", bytes, duration, duration_seconds
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class LogRange(Node):
    """`query [range] offset`: windows of (t - offset - range, t - offset]."""

    query: LogQuery
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None


@dataclass(frozen=True, slots=True)
class Grouping(Node):
    """`by (labels)` or `without (labels)`."""

    labels: tuple[str, ...]
    without: bool = False


@dataclass(frozen=True, slots=True)
class RangeAggregation(Node):
    """`op(range) grouping`; `parameter` is the quantile."""

    op: str
    range: LogRange
    parameter: float | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class VectorAggregation(Node):
    """`op grouping (expression)`; `parameter` is the k of topk and its kin."""

    op: str
    expression: Metric
    grouping: Grouping | None = None
    parameter: int | None = None


@dataclass(frozen=True, slots=True)
class Matching(Node):
    """How two vectors are joined; `group` is "", left (many-to-one) or right (one-to-many)."""

    on: bool = False
    labels: tuple[str, ...] | None = None  # None: neither on nor ignoring was written
    group: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BinaryOperation(Node):
    """`left op right`; `bool` gives 0 or 1 instead of filtering."""

    op: str
    left: Metric
    right: Metric
    bool: bool = False
    matching: Matching = Matching()


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class VectorLiteral(Node):
    """`vector(number)`: one series without labels."""

    value: float


@dataclass(frozen=True, slots=True)
class LabelReplace(Node):
    """`label_replace(expression, dst, replacement, src, regex)`."""

    expression: Metric
    dst: str
    replacement: str
    src: str
    regex: str


Metric: TypeAlias = (
    RangeAggregation | VectorAggregation | BinaryOperation | Literal | VectorLiteral | LabelReplace
)
Expression: TypeAlias = LogQuery | Metric

COMPARISONS = frozenset({"==", "!=", ">", ">=", "<", "<="})
SET_OPERATIONS = frozenset({"and", "or", "unless"})


def is_scalar(expression: Expression) -> bool:
    """Whether an expression is a number: a literal, or arithmetic on numbers alone."""
    if isinstance(expression, BinaryOperation):
        return is_scalar(expression.left) and is_scalar(expression.right)
    return isinstance(expression, Literal)
