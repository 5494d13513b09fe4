"""The stored form of segments and checkpoint values: plain or sealed, told apart by their bytes.

So encryption can be switched on and off while segments of the other kind still wait. `cryptography`
costs some 5 MB of memory and is loaded only where there is a key.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kelp.agent.spool.errors import DamageError
from kelp.base.errors import ConfigError

if TYPE_CHECKING:
    from kelp.agent.spool.seal import Sealer

# How a sealed segment begins; equal to seal.MAGIC, which is not loaded for plain spools. A plain
# segment begins with ff ff ff ff, the continuation marker of an Arrow IPC stream.
_SEALED = b"KELPSEAL\x01"

_PLAIN_VALUE, _SEALED_VALUE = b"\x00", b"\x01"


class Vault:
    """Seals what is written where it has a key, and opens both kinds."""

    def __init__(self, sealer: Sealer | None = None, sealing: bool = True) -> None:
        """`sealing` False opens what is sealed and writes plain: the way out of encryption."""
        self._sealer = sealer
        self._sealing = sealing

    @classmethod
    def of_key_file(cls, path: str, sealing: bool = True) -> Vault:
        """A vault with the key in `path`, or one that leaves things plain where `path` is empty."""
        if not path:
            return cls()
        from kelp.agent.spool.seal import AesSealer, read_key  # noqa: PLC0415 - memory, see above

        return cls(AesSealer(read_key(Path(path))), sealing)

    @property
    def sealing(self) -> bool:
        """Whether what is written is sealed."""
        return self._sealer is not None and self._sealing

    def can_open_segment(self, beginning: bytes) -> bool:
        """Whether a segment that begins so is plain, or there is a key for it."""
        return self._sealer is not None or not beginning.startswith(_SEALED)

    def is_current(self, stored_value: bytes) -> bool:
        """Whether a checkpoint value has the form in which it would be written now."""
        return stored_value.startswith(_SEALED_VALUE if self.sealing else _PLAIN_VALUE)

    def put_segment(self, data: memoryview, agent_id: str, seq: int) -> memoryview:
        """The stored form."""
        if self._sealer is None or not self._sealing:
            return data
        return self._sealer.seal(data, _segment_name(agent_id, seq))

    def get_segment(self, stored: memoryview, agent_id: str, seq: int) -> memoryview:
        """The plain form; raises DamageError."""
        if stored[: len(_SEALED)] != _SEALED:
            return stored
        if self._sealer is None:
            raise DamageError("it is sealed, and agent.spool.encryption_key_file is not set")
        return self._sealer.open(stored, _segment_name(agent_id, seq))

    def put_value(self, value: bytes, stage: str, key: str) -> bytes:
        """The stored form of a checkpoint value."""
        if self._sealer is None or not self._sealing:
            return _PLAIN_VALUE + value
        return _SEALED_VALUE + self._sealer.seal_value(value, _value_name(stage, key))

    def get_value(self, stored: bytes, stage: str, key: str) -> bytes:
        """The plain form; raises ConfigError where the key is missing or another one.

        Without its checkpoints an agent would read every file again, so this stops it.
        """
        if stored[:1] == _PLAIN_VALUE:
            return stored[1:]
        if self._sealer is None:
            raise ConfigError(
                "agent.spool.encryption_key_file: expected the key that this spool was sealed "
                "with; got none; give it back, and set agent.spool.encrypt: false to switch "
                "encryption off"
            )
        try:
            return self._sealer.open_value(stored[1:], _value_name(stage, key))
        except DamageError as e:
            raise ConfigError(
                "agent.spool.encryption_key_file: expected the key that this spool was sealed "
                f"with; got another ({e})"
            ) from e


def _segment_name(agent_id: str, seq: int) -> bytes:
    return f"segment\0{agent_id}\0{seq}".encode()


def _value_name(stage: str, key: str) -> bytes:
    return f"value\0{stage}\0{key}".encode()
