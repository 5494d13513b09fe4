"""How to ask for a substring so that the indexes of `records` help, and the answer stays exact."""

from __future__ import annotations

from kelp.server.store.quoting import literal


class NeedleDialect:
    """See Dialect."""

    def contains(self, column: str, needle: bytes) -> str:
        """See Dialect."""
        if not needle:
            return "1"
        return f"position({column}, {literal(needle)}) > 0"
