r"""Pairs behind a message of klog: logfmt, save for values that klog writes in ways of its own.

    pod="shop/web-0" spec={Name: web, Ports: [80 443]} err=<
    \tfirst line
    \tsecond line
     > n=1

Such values are put into quotes, and the rest is logfmt's business.
Format: https://github.com/kubernetes/klog, internal/serialize/keyvalues.go.
"""

from __future__ import annotations

import re2

from kelp.server.query.pipeline.hints import Hints
from kelp.server.query.pipeline.logfmt import LogfmtParser
from kelp.server.query.pipeline.row import Row

# In lines where this is not found, logfmt says the same.
OWN = r"=(?:&?[{\[]|map\[|<\n)"

# A string without an end takes all that is left: looked for again and again, it would cost n * n.
_QUOTED = rb'"(?:[^"\\]|\\(?s:.))*(?:"|\\?\z)'
_VALUE = re2.compile(_QUOTED + rb"|=(&?[{\[]|map\[|<\n)")
_BRACKET = re2.compile(_QUOTED + rb"|[{}\[\]]")
_END_OF_LINES = b"\n >"


class KlogParser:
    """See compile.Step."""

    def __init__(self, hints: Hints) -> None:
        self._logfmt = LogfmtParser(hints, strict=False, keep_empty=False)

    def __call__(self, row: Row) -> bool:
        """Nothing is dropped."""
        row.line = with_quotes(row.line)
        return self._logfmt(row)


def with_quotes(text: bytes) -> bytes:
    """The same pairs as logfmt; linear in the text."""
    parts: list[bytes] = []
    copied = at = 0
    while (match := _VALUE.search(text, at)) is not None:
        at = match.end()
        mark = match.group(1)
        if mark is None:
            continue
        begin = at - len(mark)
        value, at = _lines(text, at) if mark == b"<\n" else _bracketed(text, begin)
        parts += [text[copied:begin], _quoted(value)]
        copied = at
    return b"".join([*parts, text[copied:]]) if parts else text


def _lines(text: bytes, begin: int) -> tuple[bytes, int]:
    """(the lines without their tabs, where they have ended)."""
    end = text.find(_END_OF_LINES, begin)
    stop, at = (len(text), len(text)) if end < 0 else (end, end + len(_END_OF_LINES))
    return text[begin:stop].removeprefix(b"\t").replace(b"\n\t", b"\n"), at


def _bracketed(text: bytes, begin: int) -> tuple[bytes, int]:
    """(from the bracket to the one that closes it, where it has ended); all if none does."""
    depth, at = 0, begin
    while (match := _BRACKET.search(text, at)) is not None:
        at = match.end()
        sign = match.group()
        depth += (sign in (b"{", b"[")) - (sign in (b"}", b"]"))
        if depth == 0 and not sign.startswith(b'"'):
            return text[begin:at], at
    return text[begin:], len(text)


def _quoted(value: bytes) -> bytes:
    for char, escape in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\t", b"\\t")):
        value = value.replace(char, escape)
    return b'"' + value + b'"'
