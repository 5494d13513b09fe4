"""Lines as a container runtime writes them.

Format: https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
(`TIME STREAM TAGS BODY`). containerd reads a container's output in pieces of 16 KiB: a longer line
is written as fragments tagged P, the last one F, each with the time at which it was read.
"""

from __future__ import annotations

from datetime import UTC, datetime

FRAGMENT_BYTES = 16 * 1024
# Between two fragments of one line; what the runtime needs to read the next piece.
FRAGMENT_GAP_NS = 12_345

_NS = 1_000_000_000


def format_time(time_ns: int) -> str:
    """RFC 3339 with nanoseconds in UTC, as containerd writes it (trailing zeros stay off)."""
    seconds, ns = divmod(time_ns, _NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    return f"{text}{fraction}Z"


def cri_lines(time_ns: int, stream: str, body: bytes) -> bytes:
    """One line of a container's output (without its newline) as one or more CRI lines."""
    pieces = [body[i : i + FRAGMENT_BYTES] for i in range(0, len(body), FRAGMENT_BYTES)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        b"%b %b %b %b\n"
        % (
            format_time(time_ns + i * FRAGMENT_GAP_NS).encode(),
            stream.encode(),
            b"F" if i == last else b"P",
            piece,
        )
        for i, piece in enumerate(pieces)
    )
