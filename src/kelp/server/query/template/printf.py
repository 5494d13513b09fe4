"""fmt.Sprintf: a format's verbs, each with the value that it takes.

Model: doPrintf of https://go.dev/src/fmt/print.go, with its marks for what does not fit, and its
explicit argument indexes (`%[2]s`, `%[3]*.[2]*[1]f`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kelp.server.query.template.printing import formatted, padded, shown, type_name

_MAX_WIDTH = 10_000  # Go bounds a width by a million; a line has no use for more than this
_TOO_LARGE = 1_000_000  # a number beyond this is no width in Go
_FLAGS = re.compile(r"[-+# 0]*")
_INDEX = re.compile(r"\[([^\]]*)\]")
_NUMBER = re.compile(r"[0-9]*")
_NUMERIC = "dfFeEgGxXbo"


def sprintf(template: str, values: Sequence[Any]) -> str:
    """The text; never fails: what does not fit is marked in it, as in Go."""
    return _Printer(template, values).run()


class _Printer:
    """One format on its way."""

    def __init__(self, template: str, values: Sequence[Any]) -> None:
        self._text = template
        self._values = values
        self._at = 0  # in the text
        self._next = 0  # of the values
        self._reordered = False
        self._good = True  # the index of the verb at hand
        self._out: list[str] = []

    def run(self) -> str:
        """All of it."""
        while (percent := self._text.find("%", self._at)) >= 0:
            self._out.append(self._text[self._at : percent])
            self._at = percent + 1
            self._verb()
        self._out.append(self._text[self._at :])
        if not self._reordered and self._next < len(self._values):
            extra = (f"{type_name(v)}={shown(v, top=False)}" for v in self._values[self._next :])
            self._out.append(f"%!(EXTRA {', '.join(extra)})")
        return "".join(self._out)

    def _verb(self) -> None:
        self._good = True
        flags = self._match(_FLAGS)
        indexed = self._index()
        width, indexed = self._bound(indexed, "%!(BADWIDTH)")
        precision = None
        if self._sees("."):
            self._at += 1
            self._good = self._good and not indexed  # %[3].2d
            indexed = self._index()
            precision, indexed = self._bound(indexed, "%!(BADPREC)", after_dot=True)
        if not indexed:
            self._index()
        if self._at >= len(self._text):
            self._out.append("%!(NOVERB)")
            return
        verb = self._text[self._at]
        self._at += 1
        self._out.append(self._printed(verb, flags, width, precision))

    def _printed(self, verb: str, flags: str, width: int | None, precision: int | None) -> str:
        if verb == "%":
            return "%"
        if not self._good:
            return f"%!{verb}(BADINDEX)"
        if self._next >= len(self._values):
            return f"%!{verb}(MISSING)"
        value = self._values[self._next]
        self._next += 1
        if precision is not None and precision < 0:
            precision = None
        text = formatted(verb, value, flags, precision)
        return padded(text, flags, width, numeric=verb in _NUMERIC)

    def _sees(self, mark: str) -> bool:
        return self._text.startswith(mark, self._at)

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        text = found[0] if found else ""
        self._at += len(text)
        return text

    def _bound(
        self, indexed: bool, bad: str, *, after_dot: bool = False
    ) -> tuple[int | None, bool]:
        """A width or precision, and whether an index stands before what comes next."""
        if self._sees("*"):
            self._at += 1
            value = self._integer()
            if value is None:
                self._out.append(bad)
            return value, False
        digits = self._match(_NUMBER)
        if digits and indexed and not after_dot:  # %[3]2d
            self._good = False
        if digits:
            return min(int(digits[:7]), _MAX_WIDTH), indexed
        return (0 if after_dot else None), indexed

    def _integer(self) -> int | None:
        if self._next >= len(self._values):
            return None
        value = self._values[self._next]
        self._next += 1
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _TOO_LARGE:
            return None
        return max(min(value, _MAX_WIDTH), -_MAX_WIDTH)

    def _index(self) -> bool:
        """Go on with the value that `[n]` names, if it stands here; whether it did."""
        if not self._sees("["):
            return False
        self._reordered = True
        found = _INDEX.match(self._text, self._at)
        if found is None:
            self._at += 1
            self._good = False
            return False
        self._at = found.end()
        digits = found[1]
        readable = digits.isascii() and digits.isdigit()
        index = int(digits[:7]) - 1 if readable else -1
        if 0 <= index < len(self._values):
            self._next = index
            return True
        self._good = False
        return readable
