"""What an agent says of itself to whoever helps its user: settings, spool, checkpoints; no logs.

Each file of it is made when it is asked for, so that one that cannot be made costs itself alone.
Secrets stay out by their nature (settings name files, not what is in them), by masks, and by
`secrets_of`, with which the reader of all this takes out what stands there all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import yaml

from kelp.base.mask import mask_url
from kelp.base.settings import Settings

Made: TypeAlias = tuple[str, Callable[[], bytes]]

# Secrets are short; who names a log as his key file shall not fill our memory.
_MAX_SECRET_BYTES = 64 << 10


def settings_text(settings: Settings) -> bytes:
    """As a kelp.yaml, credentials in URLs masked."""
    plain = _masked(msgspec.to_builtins(settings))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode()


def spool_folder(settings: Settings) -> Path:
    """Where the agent's spool is."""
    return settings.under_data_dir(settings.agent.spool.dir, "spool")


def spool_on_disk(settings: Settings) -> bytes:
    """JSON: files and bytes in each folder of the spool, what is free on its disk.

    Raises OSError where the spool cannot be read.
    """
    folder = spool_folder(settings)
    free = os.statvfs(folder)
    return msgspec.json.encode(
        {
            "folder": str(folder),
            "disk_free_bytes": free.f_bavail * free.f_frsize,
            "disk_free_inodes": free.f_favail,
            "folders": dict(_folders(folder)),
        }
    )


def state(numbers: Mapping[str, Any], checkpoints: Mapping[str, tuple[int, int]]) -> bytes:
    """JSON: the running spool's numbers, and how many checkpoints of what size each stage has."""
    stages = {s: {"count": n, "bytes": size} for s, (n, size) in sorted(checkpoints.items())}
    return msgspec.json.encode({**numbers, "checkpoints": stages})


def secrets_of(settings: Settings, environ: Mapping[str, str]) -> list[bytes]:
    """The content of every file that the settings name as secret, and of variables; if readable."""
    agent, server, store = settings.agent, settings.server, settings.store
    paths = [
        settings.under_data_dir(agent.ship.token_file, "token"),
        settings.under_data_dir(server.token_file, "token"),
        Path(agent.spool.encryption_key_file or os.devnull),
        Path(store.encryption_key_file or os.devnull),
    ]
    found = [_content(path) for path in dict.fromkeys(paths)]
    return [s for s in (*found, environ.get("KELP_TOKEN", "").encode()) if s.strip()]


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_SECRET_BYTES).strip()
    except OSError:
        return b""


def _folders(folder: Path) -> Iterator[tuple[str, dict[str, int]]]:
    for path in [folder, *sorted(p for p in folder.iterdir() if p.is_dir())]:
        sizes = [f.stat().st_size for f in path.iterdir() if f.is_file()]
        yield path.name, {"files": len(sizes), "bytes": sum(sizes)}


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v) for v in value]
    return mask_url(value) if isinstance(value, str) else value
