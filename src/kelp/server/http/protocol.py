"""uvicorn's HTTP protocol with two things that it leaves out.

The head of a request (its line and headers) is bounded: without that, an endless URL would fill the
memory before any handler could refuse it. And a verified client certificate is made known to the
application, as `peer_certificate` in the request's state.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A query stands in the URL of a GET; longer ones can be sent as a form.
MAX_HEAD_BYTES = 256 << 10

_IN_BODY = -(1 << 62)  # counting from here never reaches the bound

_TOO_LONG = (
    f"the request's head is too large: expected at most {MAX_HEAD_BYTES} bytes; "
    "send a long query as a form (POST)\n"
).encode()


class KelpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Look at the client's certificate, which TLS has verified."""
        super().connection_made(transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert() if tls is not None else None
        if certificate:
            self.app_state = {**self.app_state, "peer_certificate": certificate}

    def data_received(self, data: bytes) -> None:
        """Count what comes before a head is complete."""
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse()
            return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The body has bounds of its own."""
        super().on_headers_complete()
        self._head_bytes = _IN_BODY

    def on_message_complete(self) -> None:
        """The next request's head begins."""
        super().on_message_complete()
        self._head_bytes = 0

    def _refuse(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(_TOO_LONG), _TOO_LONG)
        )
        self.transport.close()
