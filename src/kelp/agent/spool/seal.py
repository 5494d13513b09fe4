"""Encryption of what lies in the spool: AES-256-GCM under a key from a file.

A segment is sealed in chunks, each authenticated, so that memory stays bounded and no part can be
moved, dropped or exchanged: a key of its own (HKDF-SHA256 over a random salt) for every segment,
the chunk's number and a last-chunk flag as nonce, agent id and seq as associated data. That is the
streaming construction of Tink; with a fresh key per file a counter is a safe nonce however many
segments are written. Checkpoint values hold fragments of log text and are sealed too, under a key
that each run of the agent derives anew.

Left out: who may read the key file beyond its mode, and key rotation by itself: give the agent a
new key when the spool is empty, or sealed segments of the old key count as damaged.

Source: https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kelp.agent.spool.errors import DamageError
from kelp.base.errors import ConfigError

MAGIC = b"KELPSEAL\x01"
_CHUNK = 1 << 20
_TAG = 16
_SALT = 32
_VALUE_SALT = 16
_NONCE = 12


class Sealer(Protocol):
    """Turns plain bytes into stored bytes and back; `name` binds them to their place."""

    def seal(self, data: memoryview, name: bytes) -> memoryview:
        """Stored form of a segment."""

    def open(self, data: memoryview, name: bytes) -> memoryview:
        """Plain form of a segment; raises DamageError where it was changed."""

    def seal_value(self, value: bytes, name: bytes) -> bytes:
        """Stored form of a checkpoint value."""

    def open_value(self, stored: bytes, name: bytes) -> bytes:
        """Plain form of a checkpoint value; raises DamageError where it was changed."""


def read_key(path: Path) -> bytes:
    """The 32 bytes of a key file with 64 hex digits; raises ConfigError."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as e:
        raise ConfigError(
            f"agent.spool.encryption_key_file: cannot read the key: {e}; "
            f"make one with: (umask 077; openssl rand -hex 32 > {path})"
        ) from e
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"agent.spool.encryption_key_file: expected {path} to be readable by its owner alone; "
            f"got mode {stat.S_IMODE(mode):04o}; run: chmod 600 {path}"
        )
    if len(text) != 64 or not set(text.lower()) <= set("0123456789abcdef"):
        raise ConfigError(
            f"agent.spool.encryption_key_file: expected 64 hex digits in {path}; "
            f"got {len(text)} characters; make a key with: openssl rand -hex 32"
        )
    return bytes.fromhex(text)


class AesSealer:
    """A Sealer with a key. Must not be used from two threads for `seal_value`."""

    def __init__(self, key: bytes, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._key = key
        self._entropy = entropy
        self._value_salt = entropy(_VALUE_SALT)
        self._values = 0
        self._value_ciphers: dict[bytes, AESGCM] = {}

    def seal(self, data: memoryview, name: bytes) -> memoryview:
        """MAGIC, salt, then chunks of 1 MiB, each followed by its tag."""
        salt = self._entropy(_SALT)
        cipher = self._derive(salt, b"segment")
        # Arrow's buffers hold signed bytes, which the cipher does not take.
        data = data.cast("B")
        out = bytearray(MAGIC + salt)
        count = max(1, -(-len(data) // _CHUNK))
        for i in range(count):
            chunk = data[i * _CHUNK : (i + 1) * _CHUNK]
            out += cipher.encrypt(_nonce(i, i == count - 1), chunk, name)
        return memoryview(out)

    def open(self, data: memoryview, name: bytes) -> memoryview:
        """See Sealer."""
        begin = len(MAGIC) + _SALT
        cipher = self._derive(bytes(data[len(MAGIC) : begin]), b"segment")
        sealed = data[begin:]
        step = _CHUNK + _TAG
        count = max(1, -(-len(sealed) // step))
        out = bytearray()
        try:
            for i in range(count):
                chunk = sealed[i * step : (i + 1) * step]
                out += cipher.decrypt(_nonce(i, i == count - 1), chunk, name)
        except (InvalidTag, ValueError) as e:
            raise DamageError("the sealed bytes were changed, cut, or have another key") from e
        return memoryview(out)

    def seal_value(self, value: bytes, name: bytes) -> bytes:
        """Salt of this run, counter, sealed bytes."""
        nonce = self._values.to_bytes(_NONCE, "big")
        self._values += 1
        cipher = self._value_cipher(self._value_salt)
        return self._value_salt + nonce + cipher.encrypt(nonce, value, name)

    def open_value(self, stored: bytes, name: bytes) -> bytes:
        """See Sealer."""
        salt, rest = stored[:_VALUE_SALT], stored[_VALUE_SALT:]
        try:
            return self._value_cipher(salt).decrypt(rest[:_NONCE], rest[_NONCE:], name)
        except (InvalidTag, ValueError) as e:
            raise DamageError("the sealed value was changed, or has another key") from e

    def _value_cipher(self, salt: bytes) -> AESGCM:
        if salt not in self._value_ciphers:
            self._value_ciphers[salt] = self._derive(salt, b"value")
        return self._value_ciphers[salt]

    def _derive(self, salt: bytes, purpose: bytes) -> AESGCM:
        hkdf = HKDF(SHA256(), length=32, salt=salt, info=b"kelp spool " + purpose)
        return AESGCM(hkdf.derive(self._key))


def _nonce(chunk: int, last: bool) -> bytes:
    return struct.pack(">QI", chunk, last)
