"""Binary operations between frames, or a frame and a number, at all steps at once.

Series are joined by their labels (all, or those of on/ignoring). Division and modulo by zero give
NaN, as in Loki. A comparison keeps the left value where it holds, or with `bool` gives 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kelp.server.ports import QueryError
from kelp.server.query.logql.expressions import COMPARISONS, Matching
from kelp.server.query.metric.frame import Bools, Floats, Frame, Key, Labels, key_of


def _divide(a: Floats, b: Floats) -> Floats:
    return np.where(b == 0, np.nan, np.divide(a, b))


def _modulo(a: Floats, b: Floats) -> Floats:
    return np.where(b == 0, np.nan, np.fmod(a, b))


_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": _divide, "%": _modulo, "^": np.power,
}  # fmt: skip
_COMPARE: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal, "!=": np.not_equal, ">": np.greater, ">=": np.greater_equal,
    "<": np.less, "<=": np.less_equal,
}  # fmt: skip


def _apply(op: str, a: Floats, b: Floats, kept: Floats, is_bool: bool) -> tuple[Floats, Bools]:
    """Values, and where there is one; `kept` are those that a comparison lets through."""
    with np.errstate(all="ignore"):
        if op not in COMPARISONS:
            values = _ARITHMETIC[op](a, b)
            return values, np.ones(values.shape, dtype=bool)
        holds = _COMPARE[op](a, b)
    if is_bool:
        return holds.astype(np.float64), np.ones(holds.shape, dtype=bool)
    return np.broadcast_to(kept, holds.shape).astype(np.float64), holds


def with_scalar(op: str, frame: Frame, scalar: float, *, scalar_left: bool, is_bool: bool) -> Frame:
    """`frame op scalar`, or `scalar op frame`; labels stay."""
    number = np.full(frame.values.shape, scalar)
    a, b = (number, frame.values) if scalar_left else (frame.values, number)
    values, there = _apply(op, a, b, frame.values, is_bool)
    return Frame(frame.labels, values, frame.present & there).without_empty()


def _signature(labels: Labels, matching: Matching) -> Key:
    if matching.labels is None:
        return key_of(labels)
    if matching.on:
        return key_of({k: labels[k] for k in matching.labels if k in labels})
    return key_of({k: v for k, v in labels.items() if k not in matching.labels})


def _by_signature(frame: Frame, matching: Matching) -> dict[Key, list[int]]:
    found: dict[Key, list[int]] = {}
    for row, labels in enumerate(frame.labels):
        found.setdefault(_signature(labels, matching), []).append(row)
    return found


def set_operation(op: str, left: Frame, right: Frame, matching: Matching) -> Frame:
    """`and`, `or`, `unless`: which series of either side are there at each step."""
    ours, theirs = _by_signature(left, matching), _by_signature(right, matching)
    if op == "or":
        return _union(left, right, ours, theirs)
    present = left.present.copy()
    for signature, rows in ours.items():
        others = theirs.get(signature)
        there = right.present[others].any(axis=0) if others else np.zeros(present.shape[1], bool)
        present[rows] &= there if op == "and" else ~there
    return Frame(left.labels, left.values, present).without_empty()


def _union(
    left: Frame, right: Frame, ours: dict[Key, list[int]], theirs: dict[Key, list[int]]
) -> Frame:
    added = right.present.copy()
    for signature, rows in theirs.items():
        if others := ours.get(signature):
            added[rows] &= ~left.present[others].any(axis=0)
    return merge_equal(
        Frame(
            [*left.labels, *right.labels],
            np.concatenate([left.values, right.values]),
            np.concatenate([left.present, added]),
        ).without_empty()
    )


def merge_equal(frame: Frame) -> Frame:
    """One row for each label set: rows with equal labels fill each other's gaps."""
    rows: dict[Key, list[int]] = {}
    for row, labels in enumerate(frame.labels):
        rows.setdefault(key_of(labels), []).append(row)
    if len(rows) == len(frame.labels):
        return frame
    values, present = frame.values.copy(), frame.present.copy()
    for first, *others in rows.values():
        for other in others:
            missing = frame.present[other] & ~present[first]
            values[first, missing] = frame.values[other, missing]
            present[first] |= missing
    return Frame(frame.labels, values, present).take([same[0] for same in rows.values()])


def with_vector(op: str, left: Frame, right: Frame, matching: Matching, *, is_bool: bool) -> Frame:
    """`left op right`, joined by labels; QueryError where the join is ambiguous at some step."""
    swapped = matching.group == "right"
    many, one = (right, left) if swapped else (left, right)
    ones = _by_signature(one, matching)
    _refuse_duplicates(one, ones, "left" if swapped else "right")
    seen: dict[tuple[Key, Key], Bools] = {}
    out: list[tuple[Labels, Floats, Bools]] = []
    for row, labels in enumerate(many.labels):
        signature = _signature(labels, matching)
        for partner in ones.get(signature, ()):
            both = many.present[row] & one.present[partner]
            if not both.any():
                continue
            result = _result_labels(labels, one.labels[partner], matching)
            distinct = key_of(result) if matching.group else ()
            _refuse_many(seen, (signature, distinct), both, matching)
            a, b = many.values[row], one.values[partner]
            a, b = (b, a) if swapped else (a, b)
            values, there = _apply(op, a, b, a, is_bool)
            out.append((result, values, both & there))
    return _stack(out, left.values.shape[1])


def _stack(rows: list[tuple[Labels, Floats, Bools]], steps: int) -> Frame:
    if not rows:
        return Frame.empty(steps)
    labels, values, present = zip(*rows, strict=True)
    return merge_equal(Frame(list(labels), np.stack(values), np.stack(present)).without_empty())


def _refuse_duplicates(frame: Frame, rows_of: dict[Key, list[int]], side: str) -> None:
    for rows in rows_of.values():
        if len(rows) > 1 and (frame.present[rows].sum(axis=0) > 1).any():
            raise QueryError(
                f"found duplicate series on the {side} hand-side;many-to-many matching not "
                "allowed: matching labels must be unique on one side"
            )


def _refuse_many(
    seen: dict[tuple[Key, Key], Bools], key: tuple[Key, Key], both: Bools, matching: Matching
) -> None:
    before = seen.get(key)
    if before is not None and (before & both).any():
        if matching.group:
            what = "grouping labels must ensure unique matches"
        else:
            what = "many-to-one matching must be explicit (group_left/group_right)"
        raise QueryError(f"multiple matches for labels: {what}")
    seen[key] = both if before is None else before | both


def _result_labels(many: Labels, one: Labels, matching: Matching) -> Labels:
    labels = dict(many)
    if not matching.group and matching.labels is not None:
        labels = {k: v for k, v in labels.items() if (k in matching.labels) == matching.on}
    for name in matching.include:
        if one.get(name):
            labels[name] = one[name]
        else:
            labels.pop(name, None)
    return labels
