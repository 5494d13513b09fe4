"""What lies in the inbox of an encrypted store is encrypted as well, with a key derived from its.

AES-128-GCM (NIST SP 800-38D) with a random nonce a frame; the key comes from the store's through
HKDF (RFC 5869), so that the two never encrypt with the same one.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


class SealError(Exception):
    """The bytes were not sealed with this key, or were changed since."""


class Seal:
    """Seals and opens; `context` is bound to the bytes without being stored with them."""

    def __init__(self, store_key: bytes) -> None:
        derived = HKDF(SHA256(), 16, salt=None, info=b"kelp inbox").derive(store_key)
        self._cipher = AESGCM(derived)

    def close(self, data: bytes, context: bytes) -> bytes:
        """Encrypt; 28 bytes longer than `data`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt; raises SealError."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as e:
            raise SealError("sealed with another key, or changed since") from e
