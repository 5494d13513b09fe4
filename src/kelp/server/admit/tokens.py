"""Who may come in: the API token, compared in constant time, and replaced while Kelp runs."""

from __future__ import annotations

import base64
import binascii
import hmac

_MAX_HEADER = 8192  # a longer one holds no token of ours


class TokenGate:
    """Knows the one token that opens the API. `replace` may be called from any thread."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def replace(self, token: str) -> None:
        """From now on this token counts and the old one no more."""
        self._token = token.encode()

    def admits(self, authorization: str) -> bool:
        """Whether the header's value holds the token, as Bearer or as the password of Basic."""
        given = presented_token(authorization)
        return given is not None and hmac.compare_digest(given, self._token)


def presented_token(authorization: str) -> bytes | None:
    """The secret in an Authorization header; None where there is none in a form that is known.

    Formats: https://www.rfc-editor.org/rfc/rfc6750#section-2.1 and
    https://www.rfc-editor.org/rfc/rfc7617 (Grafana's data sources can send only this one).
    """
    if len(authorization) > _MAX_HEADER:
        return None
    scheme, _, rest = authorization.partition(" ")
    secret = rest.strip().encode("latin-1", "replace")
    if scheme.lower() == "bearer":
        return secret or None
    if scheme.lower() == "basic":
        return _password(secret)
    return None


def _password(encoded: bytes) -> bytes | None:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return decoded.partition(b":")[2] or None
