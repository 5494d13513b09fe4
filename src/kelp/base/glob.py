"""Shell patterns over names: `*`, `?`, `[abc]`, `[!abc]`; in paths no part matches a slash.

Patterns come from users, so they become RE2, which takes linear time whatever they say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

import re2

_SPECIAL = re.compile(r"[*?\[]")
_TOKEN = re.compile(r"\*+|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)


def is_pattern(text: str) -> bool:
    """Whether the text may stand for more than itself."""
    return _SPECIAL.search(text) is not None


def labels_fit(labels: Mapping[str, str], **globs: str) -> bool:
    """Whether each named label fits its glob, in which `*` stands for a slash as well.

    For rules of the configuration over containers and files; a label that is absent is empty.
    """
    return all(fnmatchcase(labels.get(name, ""), glob) for name, glob in globs.items())


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a whole name fits the pattern; a bracket that is never closed is itself."""
    expression = _compiled("(?s)" + "".join(map(_expression, _TOKEN.findall(pattern))))
    return lambda name: expression.fullmatch(name) is not None


def _expression(token: str) -> str:
    if token[0] == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if token[0] == "[" and len(token) > 2:
        return _one_of(token[1:-1])
    return str(re2.escape(token))


def _one_of(inner: str) -> str:
    negated = inner.startswith("!") and len(inner) > 1
    inner = inner[1:] if negated else inner
    inner = inner.replace("\\", "\\\\").replace("^", "\\^").replace("]", "\\]").replace("[", "\\[")
    try:
        _compiled(f"[{inner}]")
    except re2.error:  # a range the wrong way round, as [z-a]
        return str(re2.escape(f"[{inner}]"))
    return f"[^/{inner}]" if negated else f"[{inner}]"


def _compiled(expression: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(expression, options)
