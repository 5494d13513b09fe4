"""Queries that are nearly right: golden ones with a few pieces cut, doubled, swapped or put in."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.server.query.golden import cases
from tests.server.query.scenes import scenes

_TEXTS = [
    *(c.text for name in ("printed.txt", "errors.txt") for c in cases(name)),
    *(q.query for scene in scenes() for q in scene.questions),
]
_PIECES = (
    "", " ", "\n", "{", "}", "(", ")", "[5m]", "[0s]", "|", "|=", "!~", "|>", "=", "==", "=~", ",",
    '"', "`", "\\", '"("', '"{{"', '"<a><b>"', '"a[99999999999999999999]"', "by (a)", "without ()",
    "unwrap a", "bytes(a)", "or", "and", "unless", "json", "logfmt", "--strict", "ip(", "drop",
    "keep a", "rate(", "topk(", "topk(1e99,", "quantile_over_time(-1,", "sort(", "vector(",
    "offset", "1h", "-5m", "9" * 25, "1e400", "0x", "NaN", "-", "^", "bool", "on ()",
    "group_left (a)", "#", "\x00", "\udcff", "\u00e9", "label_replace(", "absent_over_time(",
    '{{.a | printf "%[9]d"}}',
)  # fmt: skip


@st.composite
def queries(draw: st.DrawFn) -> str:
    """A golden query after one to four changes at random places."""
    text = draw(st.sampled_from(_TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(start + draw(st.sampled_from([0, 0, 1, 1, 3, 9])), len(text))
        piece = draw(st.one_of(st.sampled_from(_PIECES), st.just(text[start:end] * 2)))
        text = text[:start] + piece + text[end:]
    return text
