"""The embedded engine's own configuration, written for it at each start.

It can hold the key of an encrypted store, so it never touches a disk: it lies in memory, in a file
without a name that the engine reads through /proc.

Keys: https://clickhouse.com/docs/operations/server-configuration-parameters/settings and, for
encrypted disks, https://clickhouse.com/docs/operations/storing-data#encrypted-virtual-file-system
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from xml.sax.saxutils import escape

from kelp.base.errors import ConfigError, KelpError
from kelp.base.files import write_durably

ENCRYPTED_POLICY = "kelp_encrypted"

# The engine's defaults are those of a machine of its own; this one shares its memory.
_CACHES = {
    "mark_cache_size": 256 << 20,
    "index_mark_cache_size": 64 << 20,
    "primary_index_cache_size": 256 << 20,
    "query_condition_cache_size": 64 << 20,
}

# What does not fit in memory would lie in the open in the engine's folder of temporary files.
NO_SPILL = {
    "max_bytes_before_external_sort": 0,
    "max_bytes_ratio_before_external_sort": 0,
    "max_bytes_before_external_group_by": 0,
    "max_bytes_ratio_before_external_group_by": 0,
}

_KEY = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class EngineConfig:
    """What the embedded engine at `directory` is started with; no `key`, no encryption."""

    directory: Path
    key: str = ""

    def xml(self) -> str:
        """The configuration file."""
        caches = "".join(f"<{name}>{size}</{name}>" for name, size in _CACHES.items())
        return f"<clickhouse>{caches}{self._storage() if self.key else ''}</clickhouse>"

    def _storage(self) -> str:
        path = escape(str(self.directory / "encrypted"))
        return (
            "<storage_configuration><disks>"
            f"<kelp_below><type>local</type><path>{path}/</path></kelp_below>"
            "<kelp_encrypted><type>encrypted</type><disk>kelp_below</disk><path>data/</path>"
            f"<algorithm>AES_128_CTR</algorithm><key_hex>{self.key}</key_hex></kelp_encrypted>"
            f"</disks><policies><{ENCRYPTED_POLICY}><volumes><main><disk>kelp_encrypted</disk>"
            f"</main></volumes></{ENCRYPTED_POLICY}></policies></storage_configuration>"
        )


def check_key(config: EngineConfig) -> None:
    """Refuse a key (or none) that the store was not made with; note that of a new one.

    The engine would refuse it, too, but does not say why. What is noted is a keyed hash (BLAKE2b),
    which does not lead back to 128 random bits.
    """
    path = config.directory / "encrypted.key-id"
    found = path.read_text() if path.exists() else ""
    is_new = not (config.directory / "metadata").exists()
    if not config.key:
        if found:
            raise _other_key(config, "the key file that it was encrypted with", "none")
        return
    key_id = blake2b(b"kelp store", key=bytes.fromhex(config.key), digest_size=16).hexdigest()
    if not found and not is_new:
        raise _other_key(config, "no key file, for it is not encrypted", "one")
    if found not in ("", key_id):
        raise _other_key(config, "the key that it was encrypted with", "another one")
    if not found:
        write_durably(path, key_id.encode())


def _other_key(config: EngineConfig, expected: str, got: str) -> KelpError:
    return KelpError(
        f"store.encryption_key_file: the store {config.directory} needs {expected}; got {got}: "
        "set it as it was, or begin a new store with another store.url"
    )


def read_key(path: Path) -> str:
    """The 32 hex digits in a key file; ConfigError says what is there instead."""
    try:
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"store.encryption_key_file: cannot read {path}: {e}") from e
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"store.encryption_key_file: expected 32 hex digits (128 bits) in {path}; got "
            f"{len(key)} characters; make one with: openssl rand -hex 16"
        )
    return key.lower()


def in_memory_file(text: str) -> int:
    """A descriptor of an unnamed file with that content; readable as /proc/self/fd/N."""
    fd = os.memfd_create("kelp-engine.xml", os.MFD_CLOEXEC)
    os.write(fd, text.encode())
    return fd
