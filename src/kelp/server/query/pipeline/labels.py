"""The stages `drop`, `keep` and `label_format`, and what a metric keeps of a row's labels."""

from __future__ import annotations

from collections.abc import Callable

from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.label_filters import label_test
from kelp.server.query.pipeline.row import ERROR, ERROR_DETAILS, PRESERVE_ERROR, Row

_SPECIAL = frozenset({ERROR, ERROR_DETAILS, PRESERVE_ERROR})
Step = Callable[[Row], bool]


def drop(node: ast.Drop) -> Step:
    """`drop`: names always, matchers where they hold."""
    steps = [_drop_name(i) if isinstance(i, str) else _drop_matching(i) for i in node.items]

    def run(row: Row) -> bool:
        for step in steps:
            step(row)
        return True

    return run


def _drop_name(name: str) -> Callable[[Row], None]:
    def run(row: Row) -> None:
        if name == ERROR:
            row.error = ""
        elif name == ERROR_DETAILS:
            row.details = ""
        elif row.get(name) is not None:
            row.delete(name)

    return run


def _drop_matching(matcher: ast.Matcher) -> Callable[[Row], None]:
    test = label_test(matcher)
    name = matcher.name

    def run(row: Row) -> None:
        if name == ERROR:
            row.error = "" if test(row.error) else row.error
        elif name == ERROR_DETAILS:
            row.details = "" if test(row.details) else row.details
        elif test(row.get(name) or ""):
            row.delete(name)

    return run


def keep(node: ast.Keep) -> Step:
    """`keep`: everything else goes, save errors."""
    names = {item for item in node.items if isinstance(item, str)}
    tests = [(m.name, label_test(m)) for m in node.items if isinstance(m, ast.Matcher)]

    def kept(name: str, value: str) -> bool:
        return (
            name in names
            or name in _SPECIAL
            or any(name == wanted and test(value) for wanted, test in tests)
        )

    def run(row: Row) -> bool:
        for name, value in row.labels().items():
            if not kept(name, value):
                row.delete(name)
        return True

    return run


def metric_labels(
    grouping: ast.Grouping | None, *, no_labels: bool
) -> Callable[[Row], dict[str, str]]:
    """What is left of a row's labels in a series; all of them where the row has an error.

    An error must not get lost under a grouping, for it makes the query fail.
    """
    if no_labels:
        return lambda row: row.labels() if row.error else {}
    if grouping is None or (grouping.without and not grouping.labels):
        return Row.labels
    if grouping.without:
        dropped = frozenset(grouping.labels)

        def without(row: Row) -> dict[str, str]:
            labels = row.labels()
            return labels if row.error else {k: v for k, v in labels.items() if k not in dropped}

        return without
    names = sorted(set(grouping.labels))

    def by(row: Row) -> dict[str, str]:
        if row.error:
            return row.labels()
        found = ((name, row.get(name)) for name in names if name not in row.deleted)
        return {name: value for name, value in found if value is not None}

    return by
