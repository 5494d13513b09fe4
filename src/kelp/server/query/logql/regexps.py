"""Compiling what users write as regexps, with the message of Go's regexp where it is none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=1024)
def compile_regexp(pattern: str, *, whole: bool = False) -> Any:
    """A compiled RE2 pattern over bytes that need not be UTF-8 text; ValueError as Go words it.

    `whole` anchors it at both ends, as label matchers are.
    """
    source = f"^(?s:{pattern})$" if whole else pattern
    try:
        re2.compile(pattern.encode("utf-8", "surrogateescape"), _OPTIONS)
        return re2.compile(source.encode("utf-8", "surrogateescape"), _OPTIONS)
    except re2.error as e:
        raise ValueError(f"error parsing regexp: {_in_words_of_go(e, pattern)}") from None


# RE2's words for an error to Go's: https://pkg.go.dev/regexp/syntax#ErrorCode
_CODES = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "pattern too large - compile failed": "expression too large",
}


def _in_words_of_go(error: re2.error, pattern: str) -> str:
    """`code: part`, where RE2 names the part of the pattern that is wrong; else all of it."""
    said = error.args[0] if error.args else b"invalid"
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    code, _, part = text.partition(": ")
    if code == "trailing \\":
        return f"{_CODES[code]}: ``"
    return f"{_CODES.get(code, code)}: `{part or pattern}`"
