"""What can go wrong with the API server, in words that say who has to do what.

A `Status` is what the API server itself answers where it refuses:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
Proxied answers (nodes/N/proxy) are the kubelet's own plain text.
"""

from __future__ import annotations

import msgspec

from kelp.base.errors import KelpError

_MAX_TEXT = 500


class AccessError(KelpError):
    """There is no way to an API server, or what names one cannot be used."""


class AwayError(KelpError):
    """The API server cannot be reached, or its answer broke off: trying again may help."""


class ApiError(KelpError):
    """The API server's refusal; `status` is the HTTP status."""

    def __init__(self, status: int, text: str, *, message: str = "", retry_after_s: float = 0.0):
        super().__init__(text)
        self.status = status
        self.message = message  # in the words of whoever answered
        self.retry_after_s = retry_after_s

    @property
    def gone(self) -> bool:
        """Whether a resourceVersion is too old, so that one has to list anew."""
        return self.status == 410


class _Status(msgspec.Struct):
    message: str = ""
    reason: str = ""
    kind: str = ""


def said(body: bytes) -> str:
    """The message of a Status, else the text itself, on one line."""
    try:
        status = msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        status = _Status()
    if status.kind == "Status" and status.message:
        return status.message
    return " ".join(body.decode(errors="replace").split())[:_MAX_TEXT]


def refusal(status: int, body: bytes, *, what: str, right: str, source: str) -> ApiError:
    """The error of an answer that is none.

    `what` was asked for (GET /api/v1/pods), `right` is what it takes (list pods), `source` says
    whose credentials were shown.
    """
    message = said(body)
    if status == 401:
        text = f"expected credentials that the API server knows; it refused those of {source}"
    elif status == 403:
        text = (
            f'expected the right to "{right}"; the API server refused it to the user of {source}'
            ": bind a ClusterRole with it"
        )
    elif status == 410:
        text = f"{what}: the resourceVersion is too old"
    else:
        text = f"expected an answer to {what}; got {status}"
    return ApiError(status, f"{text} ({message})" if message else text, message=message)
