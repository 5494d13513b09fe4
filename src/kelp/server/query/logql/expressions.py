"""The tree of a query. Frozen values: equal queries are equal trees, and a tree can be a cache key.

Durations are nanoseconds, sizes bytes. What a query may mean is checked by the parser; a tree that
it gave is sound, save for what only a stage's own language decides (templates, JSON paths).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# --- selectors and line filters ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Matcher:
    """`name op "value"`; op is one of = != =~ !~. A regexp matches the whole value."""

    name: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class LineTerm:
    """One operand of a line filter: a text, regexp or pattern, or with `ip` an address pattern."""

    text: str
    ip: bool = False


@dataclass(frozen=True, slots=True)
class LineFilter:
    """`op a or b …`; op is one of |= != |~ !~ |> !>. A negative one drops what any term matches."""

    op: str
    terms: tuple[LineTerm, ...]


# --- parsers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Extraction:
    """`name="path"` of `json` and `logfmt`."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Json:
    """`json`, all fields or the named paths."""

    extractions: tuple[Extraction, ...] = ()


@dataclass(frozen=True, slots=True)
class Logfmt:
    """`logfmt`, all fields or the named ones."""

    strict: bool = False
    keep_empty: bool = False
    extractions: tuple[Extraction, ...] = ()


@dataclass(frozen=True, slots=True)
class Regexp:
    """`regexp "…"`: named groups become labels."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """`pattern "…"`: captures `<name>` between literals become labels."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Unpack:
    """`unpack`: the strings of a packed JSON line become labels, `_entry` the line."""


# --- label filters ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NumberFilter:
    """Compares a label as a number; op is one of = != > >= < <= (`==` is read as `=`)."""

    name: str
    op: str
    value: float


@dataclass(frozen=True, slots=True)
class DurationFilter:
    """Compares a label as a duration, in nanoseconds."""

    name: str
    op: str
    value: int


@dataclass(frozen=True, slots=True)
class BytesFilter:
    """Compares a label as a size, in bytes."""

    name: str
    op: str
    value: int


@dataclass(frozen=True, slots=True)
class IpFilter:
    """Finds an address of a pattern (address, range, CIDR) in a label; op is = or !=."""

    name: str
    op: str
    pattern: str


@dataclass(frozen=True, slots=True)
class And:
    """Both, the left one first; both always run, for either may note an error."""

    left: Filter
    right: Filter


@dataclass(frozen=True, slots=True)
class Or:
    """Either; the right one runs only where the left does not hold."""

    left: Filter
    right: Filter


Filter: TypeAlias = Matcher | NumberFilter | DurationFilter | BytesFilter | IpFilter | And | Or


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """A filter as a stage."""

    filter: Filter


# --- formats ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineFormat:
    """`line_format "template"`."""

    template: str


@dataclass(frozen=True, slots=True)
class LabelAssignment:
    """`name=source` (rename) or `name="template"`."""

    name: str
    value: str
    rename: bool


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """`label_format …`."""

    assignments: tuple[LabelAssignment, ...]


@dataclass(frozen=True, slots=True)
class Decolorize:
    """`decolorize`: takes ANSI colour codes out of the line."""


@dataclass(frozen=True, slots=True)
class Drop:
    """`drop a, b="x"`: a name always, a matcher where it holds."""

    items: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """`keep a, b="x"`."""

    items: tuple[str | Matcher, ...]


Stage: TypeAlias = (
    LineFilter
    | Json
    | Logfmt
    | Regexp
    | Pattern
    | Unpack
    | LabelFilter
    | LineFormat
    | LabelFormat
    | Decolorize
    | Drop
    | Keep
)


# --- queries ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogQuery:
    """`{selector} stages…`."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Unwrap:
    """`unwrap label` or `unwrap conversion(label)`, with the filters behind it."""

    label: str
    conversion: str = ""  # "", bytes, duration, duration_seconds
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class LogRange:
    """`query [range] offset`: windows of (t - offset - range, t - offset]."""

    query: LogQuery
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by (labels)` or `without (labels)`."""

    labels: tuple[str, ...]
    without: bool = False


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """`op(range) grouping`; `parameter` is the quantile."""

    op: str
    range: LogRange
    parameter: float | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    """`op grouping (expression)`; `parameter` is the k of topk and its kin."""

    op: str
    expression: Metric
    grouping: Grouping | None = None
    parameter: int | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    """How two vectors are joined; `group` is "", left (many-to-one) or right (one-to-many)."""

    on: bool = False
    labels: tuple[str, ...] | None = None  # None: neither on nor ignoring was written
    group: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BinaryOperation:
    """`left op right`; `bool` gives 0 or 1 instead of filtering."""

    op: str
    left: Metric
    right: Metric
    bool: bool = False
    matching: Matching = Matching()


@dataclass(frozen=True, slots=True)
class Literal:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class VectorLiteral:
    """`vector(number)`: one series without labels."""

    value: float


@dataclass(frozen=True, slots=True)
class LabelReplace:
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
