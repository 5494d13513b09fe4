"""The API token: made on first start, kept in a file that only its owner reads."""

from __future__ import annotations

import secrets
from pathlib import Path

from kelp.base.errors import KelpError
from kelp.base.files import write_durably


def read_or_make_token(path: Path) -> str:
    """The token in `path`; a new one (256 bits) is written there with mode 0600 where none is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_durably(path, secrets.token_urlsafe(32).encode() + b"\n")
    return read_token(path)


def read_token(path: Path) -> str:
    """The token in `path`; raises KelpError where there is none to read."""
    try:
        token = path.read_text().strip()
    except OSError as e:
        raise KelpError(f"cannot read the API token: {e}; is Kelp's server started here?") from e
    if not token:
        raise KelpError(f"expected an API token in {path}; got an empty file")
    return token
