"""Segments as an agent sends them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence

from kelp.model.loss import Loss
from kelp.model.stream import Stream
from kelp.wire.segment import Segment, SegmentHeader, encode_segment
from tests.server.samples import batch

SHOP = {"namespace": "shop", "pod": "web-0", "container": "app", "stream": "stdout"}


def segment(
    bodies: Sequence[bytes],
    labels: Mapping[str, str] = SHOP,
    *,
    seq: int = 1,
    agent_id: str = "",
    start_ns: int = 0,
    losses: Sequence[Loss] = (),
) -> bytes:
    """One of an agent of its own, read just now."""
    now = time.time_ns()
    records = batch(bodies, labels, start_ns=start_ns or now, observed_ns=now)
    header = SegmentHeader(
        agent_id=agent_id or uuid.uuid4().hex,
        seq=seq,
        node="n",
        created_ns=now,
        records=len(bodies),
        body_bytes=sum(map(len, bodies)),
        streams=[Stream(labels).labels],
        losses=list(losses),
    )
    return bytes(encode_segment(Segment(header, [records] if bodies else [])))
