"""What differs between two Settings, and what of it takes effect without a restart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kelp.base.settings import Settings


@dataclass(frozen=True)
class Changes:
    """Dotted keys whose values differ."""

    live: list[str]
    restart: list[str]

    def text(self) -> str:
        """What to tell whoever asked for the reload."""
        parts = []
        if self.live:
            parts.append(f"changed: {', '.join(self.live)}")
        if self.restart:
            parts.append(f"needs a restart: {', '.join(self.restart)}")
        return "; ".join(parts) or "nothing changed"


def changes(
    old: Settings, new: Settings, live: Sequence[str], scope: Sequence[str] = ("",)
) -> Changes:
    """What differs below the keys of `scope`. A name that ends with a dot stands for all below."""
    before, after = flat(old), flat(new)
    changed = [k for k, v in after.items() if v != before[k] and k.startswith(tuple(scope))]
    at_once = [k for k in changed if k.startswith(tuple(live))]
    return Changes(at_once, [k for k in changed if k not in at_once])


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted keys with their values."""
    if not isinstance(value, msgspec.Struct):
        return {prefix: value}
    found: dict[str, Any] = {}
    for name, inner in msgspec.structs.asdict(value).items():
        found |= flat(inner, f"{prefix}.{name}" if prefix else name)
    return found
