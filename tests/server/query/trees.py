"""Random trees of queries, as the parser could give them."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

from hypothesis import strategies as st

from kelp.server.query.logql import expressions as ast

Expression: TypeAlias = ast.Expression

NAMES = st.sampled_from(["app", "pod", "env", "level", "count", "x1", "_y", "rate"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = TEXTS.filter(bool)
REGEXPS = st.sampled_from(["a.*", "web-[0-9]+", "x|y", ".+", "(?i)err"])
NUMBERS = st.sampled_from([0.0, 1.0, 2.5, -3.0, 1e3, 0.001, 123456.789])
SPANS = st.sampled_from([1_000_000, 10**9, 60 * 10**9, 90 * 10**9, 86_400 * 10**9])
LABELS = st.lists(NAMES, max_size=2, unique=True).map(tuple)


def matchers() -> st.SearchStrategy[ast.Matcher]:
    plain = st.builds(ast.Matcher, NAMES, st.sampled_from(["=", "!="]), TEXTS)
    regexp = st.builds(ast.Matcher, NAMES, st.sampled_from(["=~", "!~"]), REGEXPS)
    return plain | regexp


def selectors() -> st.SearchStrategy[tuple[ast.Matcher, ...]]:
    first = st.builds(ast.Matcher, NAMES, st.just("="), VALUES)
    return st.tuples(first, st.lists(matchers(), max_size=2)).map(lambda t: (t[0], *t[1]))


def line_filters() -> st.SearchStrategy[ast.LineFilter]:
    def build(op: str) -> st.SearchStrategy[ast.LineFilter]:
        texts = {"~": REGEXPS, ">": st.sampled_from(["<_> a", "b <_>", "c"])}.get(op[1], TEXTS)
        terms = st.lists(st.builds(ast.LineTerm, texts), min_size=1, max_size=3).map(tuple)
        return st.builds(ast.LineFilter, st.just(op), terms)

    return st.sampled_from(["|=", "!=", "|~", "!~", "|>", "!>"]).flatmap(build)


def filters() -> st.SearchStrategy[ast.Filter]:
    compare = st.sampled_from(["=", "!=", ">", ">=", "<", "<="])
    leaves = (
        matchers()
        | st.builds(ast.NumberFilter, NAMES, compare, NUMBERS)
        | st.builds(ast.DurationFilter, NAMES, compare, SPANS)
        | st.builds(ast.BytesFilter, NAMES, compare, st.integers(1, 1 << 50))
        | st.builds(ast.IpFilter, NAMES, st.sampled_from(["=", "!="]), st.just("10.0.0.0/8"))
    )
    return st.recursive(
        leaves,
        lambda inner: st.builds(ast.And, inner, inner) | st.builds(ast.Or, inner, inner),
        max_leaves=4,
    )


def stages() -> st.SearchStrategy[ast.Stage]:
    paths = st.sampled_from(["a", "a.b", "a[0]"])
    extractions = st.lists(st.builds(ast.Extraction, NAMES, paths), max_size=2).map(tuple)
    fields = st.lists(st.builds(ast.Extraction, NAMES, NAMES), max_size=2).map(tuple)
    items = st.lists(NAMES | matchers(), min_size=1, max_size=2).map(tuple)
    renames = st.builds(ast.LabelAssignment, NAMES, NAMES, st.just(True))
    return (
        line_filters()
        | st.builds(ast.Json, extractions)
        | st.builds(ast.Logfmt, st.booleans(), st.booleans(), fields)
        | st.just(ast.Regexp("(?P<a>.)"))
        | st.just(ast.Pattern("<a> <_>"))
        | st.just(ast.Unpack())
        | st.builds(ast.Fields, st.lists(NAMES, max_size=2).map(tuple))
        | st.builds(ast.LabelFilter, filters())
        | st.builds(ast.LineFormat, st.sampled_from(["{{.a}}", "x", ""]))
        | st.builds(ast.LabelFormat, st.tuples(renames))
        | st.just(ast.Decolorize())
        | st.builds(ast.Drop, items)
        | st.builds(ast.Keep, items)
    )


def log_queries() -> st.SearchStrategy[ast.LogQuery]:
    written = st.lists(stages(), max_size=3).map(tuple).filter(_can_be_written)
    return st.builds(ast.LogQuery, selectors(), written)


def _can_be_written(pipeline: tuple[ast.Stage, ...]) -> bool:
    """No text means `drop app` and then the line filter `!= ""`: it is the matcher `app != ""`.

    Nor does one mean `fields` and then `!= ""`: it is a filter of the label `fields`.
    """
    return not any(
        _ends_in_name(before) and isinstance(stage, ast.LineFilter) and stage.op in ("!=", "!~")
        for before, stage in pairwise(pipeline)
    )


def _ends_in_name(stage: ast.Stage) -> bool:
    if isinstance(stage, ast.Fields):
        return not stage.names
    return isinstance(stage, ast.Drop | ast.Keep) and isinstance(stage.items[-1], str)


def groupings() -> st.SearchStrategy[ast.Grouping | None]:
    return st.none() | st.builds(ast.Grouping, LABELS, st.booleans())


def ranges() -> st.SearchStrategy[ast.RangeAggregation]:
    offsets = st.sampled_from([0, 60 * 10**9, -5 * 10**9])
    plain = st.builds(ast.LogRange, log_queries(), SPANS, offsets, st.none())
    unwraps = st.builds(
        ast.Unwrap, NAMES, st.sampled_from(["", "bytes", "duration"]),
        st.lists(filters(), max_size=1).map(tuple),
    )  # fmt: skip
    unwrapped = st.builds(ast.LogRange, log_queries(), SPANS, offsets, unwraps)
    counts = st.sampled_from(["count_over_time", "rate", "bytes_rate", "absent_over_time"])
    values = st.sampled_from(["avg_over_time", "max_over_time", "first_over_time"])
    return (
        st.builds(ast.RangeAggregation, counts, plain, st.none(), st.none())
        | st.builds(ast.RangeAggregation, values, unwrapped, st.none(), groupings())
        | st.builds(
            ast.RangeAggregation, st.just("quantile_over_time"), unwrapped,
            st.sampled_from([0.5, 0.99]), groupings(),
        )
    )  # fmt: skip


def metrics() -> st.SearchStrategy[ast.Metric]:
    leaves = ranges() | st.builds(ast.VectorLiteral, NUMBERS.filter(lambda n: n >= 0))

    def around(inner: st.SearchStrategy[ast.Metric]) -> st.SearchStrategy[ast.Metric]:
        matching = st.just(ast.Matching()) | st.builds(
            ast.Matching, st.booleans(), LABELS, st.sampled_from(["", "left", "right"])
        )
        arithmetic = st.sampled_from(["+", "-", "*", "/", "%", "^", "==", ">", "and", "or"])
        return (
            st.builds(
                ast.VectorAggregation, st.sampled_from(["sum", "avg", "count"]), inner, groupings()
            )
            | st.builds(
                ast.VectorAggregation, st.just("topk"), inner, groupings(), st.integers(1, 9)
            )
            | st.builds(ast.BinaryOperation, arithmetic, inner, inner, st.booleans(), matching)
            | st.builds(
                ast.BinaryOperation, st.sampled_from(["*", "<"]), inner,
                st.builds(ast.Literal, NUMBERS),
            )
            | st.builds(
                ast.LabelReplace, inner, NAMES, TEXTS, NAMES, st.just("(.*)")
            )
        )  # fmt: skip

    return st.recursive(leaves, around, max_leaves=4)


def expressions() -> st.SearchStrategy[ast.Expression]:
    return log_queries() | metrics()
