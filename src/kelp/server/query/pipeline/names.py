"""Label names out of keys: what is no letter, digit or underscore becomes an underscore."""

from __future__ import annotations

import re
from functools import lru_cache

_INVALID = re.compile(r"[^a-zA-Z0-9_]")


@lru_cache(maxsize=65_536)
def sanitize(key: str) -> str:
    """A key of a line as a label name; empty where nothing of it is left."""
    key = key.strip()
    if not key:
        return ""
    if key[0].isascii() and key[0].isdigit():
        key = "_" + key
    return _INVALID.sub("_", key)


@lru_cache(maxsize=65_536)
def join(prefix: str, key: str) -> str:
    """The label name of a nested key: parts joined by underscores, blank parts left out."""
    part = key.strip()
    if not part:
        return prefix
    return f"{prefix}_{_INVALID.sub('_', part)}" if prefix else sanitize(part)


def printable(value: str) -> str:
    """A parsed value; what was no UTF-8 becomes a blank, as in Loki."""
    if value.isascii():
        return value
    return "".join(" " if c == "\ufffd" or "\ud800" <= c <= "\udfff" else c for c in value)
