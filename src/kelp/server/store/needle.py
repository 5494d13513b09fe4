"""How to ask for a substring so that the index of `records` helps, and the answer stays exact.

People look for words, which are everywhere, and for identifiers (trace and request ids, UUIDs),
which are hardly anywhere. Only the latter deserve an index: `ids`, a Bloom filter a granule over
ID_TOKENS, the long runs of hex digits and dashes in a body. It costs about 1 % of the disk.

A substring is not a token: the needle may be a part of a longer run. So a run stands in the index
as itself only where nothing that is as long as an identifier can hide within it: runs of 32 (128
bits in hex, as of traces), and runs of 36 with a dash where a UUID has its first. Every longer run
stands as MORE, a mark that is always looked for as well. Where many runs are longer (digests of
images), granules are read that a smaller index would have spared; a line is never missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kelp.server.store.quoting import literal

MORE = "*"
_HEX, _UUID = 32, 36

# The very expression of the index in migrations/, for the engine compares the two.
ID_TOKENS = (
    "arrayMap(x -> if(length(x) = 32 OR (length(x) = 36 AND substring(x, 9, 1) = '-'), x, '*'), "
    "extractAll(body, '[0-9a-f-]{32,}'))"
)

_RUN = re.compile(rb"[0-9a-f-]{32,}")


class NeedleDialect:
    """See Dialect."""

    def contains(self, column: str, needle: bytes) -> str:
        """See Dialect. Each part of the condition is true of every row, so it may be negated."""
        found = f"position({column}, {literal(needle)}) > 0" if needle else "1"
        if column != "body":
            return found
        hints = [f"hasAny({ID_TOKENS}, [{_list(tokens)}])" for tokens in _tokens(needle)]
        return f"({' AND '.join([*hints, found])})" if hints else found


def _list(tokens: list[str]) -> str:
    return ", ".join(map(literal, tokens))


def _tokens(needle: bytes) -> Iterator[list[str]]:
    """For each long run in the needle: tokens of which a body that contains it has one at least."""
    for match in _RUN.finditer(needle):
        run = match[0].decode()
        whole = match.start() > 0 and match.end() < len(needle)
        if whole:
            yield [_token(run)]
        elif len(run) >= _UUID or not _may_lie_in_uuid(run):
            yield sorted({_token(run), MORE})


def _token(run: str) -> str:
    """What a whole run stands as in the index."""
    is_uuid = len(run) == _UUID and run[8] == "-"
    return run if len(run) == _HEX or is_uuid else MORE


def _may_lie_in_uuid(run: str) -> bool:
    """Whether a run of 32 to 35 can be a part of one of 36 that stands as itself."""
    return any(run[8 - offset] == "-" for offset in range(_UUID - len(run) + 1))
