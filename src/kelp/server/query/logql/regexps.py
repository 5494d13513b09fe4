"""Compiling what users write as regexps, with RE2's message where it is none."""

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
        raise ValueError(f"error parsing regexp: {_message(e)}: `{pattern}`") from None


def _message(error: re2.error) -> str:
    text = error.args[0] if error.args else "invalid"
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
