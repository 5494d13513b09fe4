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
from pathlib import Path
from xml.sax.saxutils import escape

from kelp.base.errors import ConfigError

ENCRYPTED_POLICY = "kelp_encrypted"

# The engine's defaults are those of a machine of its own; this one shares its memory.
_CACHES = {
    "mark_cache_size": 256 << 20,
    "index_mark_cache_size": 64 << 20,
    "primary_index_cache_size": 256 << 20,
    "query_condition_cache_size": 64 << 20,
}

# Small parts are merged soon, so they are compressed with little work (LZ4); from this size on
# parts are compressed well. It saves a tenth of what storing costs.
_WELL_COMPRESSED_FROM = 20_000_000
_COMPRESSION = (
    f"<compression><case><min_part_size>{_WELL_COMPRESSED_FROM}</min_part_size>"
    "<min_part_size_ratio>0</min_part_size_ratio><method>zstd</method><level>1</level></case>"
    "</compression>"
)

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

    @property
    def encrypted_data(self) -> Path:
        """Where an encrypted store has its tables."""
        return self.directory / "encrypted"

    def xml(self) -> str:
        """The configuration file."""
        caches = "".join(f"<{name}>{size}</{name}>" for name, size in _CACHES.items())
        return (
            f"<clickhouse>{caches}{_COMPRESSION}{self._storage() if self.key else ''}</clickhouse>"
        )

    def _storage(self) -> str:
        path = escape(str(self.encrypted_data))
        return (
            "<storage_configuration><disks>"
            f"<kelp_below><type>local</type><path>{path}/</path></kelp_below>"
            "<kelp_encrypted><type>encrypted</type><disk>kelp_below</disk><path>data/</path>"
            f"<algorithm>AES_128_CTR</algorithm><key_hex>{self.key}</key_hex></kelp_encrypted>"
            f"</disks><policies><{ENCRYPTED_POLICY}><volumes><main><disk>kelp_encrypted</disk>"
            f"</main></volumes></{ENCRYPTED_POLICY}></policies></storage_configuration>"
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
