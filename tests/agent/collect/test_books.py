"""The checkpoint and the losses of a source that is no file."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.collect.books import Books, SourcePlace
from kelp.agent.collect.metrics import CollectMetrics


class Here(SourcePlace, frozen=True, kw_only=True):
    at: int


class Later(SourcePlace, frozen=True, kw_only=True):
    version: int = 2
    at: int


def test_a_place_is_committed_once_and_found_again() -> None:
    metrics = CollectMetrics(CollectorRegistry())
    books = Books("s", Here, {}, metrics)
    assert books.restored is None
    assert {} == books.changes()
    books.reach(Here(at=1))
    books.reach(Here(at=2))
    changes = books.changes()
    assert {} == books.changes()
    stored = {k: v for k, v in changes.items() if v is not None}
    assert Here(at=2) == Books("s", Here, stored, metrics).restored
    assert Books("other", Here, stored, metrics).restored is None


@pytest.mark.parametrize("data", [b"", b"{", b'{"at":"x"}', b'{"at":1}', b'{"version":3,"at":1}'])
def test_a_checkpoint_that_cannot_be_used_is_counted_and_left(data: bytes) -> None:
    registry = CollectorRegistry()
    books = Books("s", Later, {"s": data}, CollectMetrics(registry))
    # Without a version it is of the present one.
    assert (Later(at=1) if data == b'{"at":1}' else None) == books.restored
    count = registry.get_sample_value("kelp_agent_bad_checkpoints_total")
    assert (0 if data == b'{"at":1}' else 1) == count


def test_losses_are_given_once_and_counted() -> None:
    registry = CollectorRegistry()
    books = Books("s", Here, {}, CollectMetrics(registry))
    books.lose({"dataset": "node"}, 7, 30, 20)
    (loss,) = books.losses()
    assert (7, 0, 20, 20) == (loss.position, loss.size_bytes, loss.start_ns, loss.end_ns)
    assert [] == books.losses()
    name = "kelp_agent_losses_total"
    assert 1 == registry.get_sample_value(name, {"reason": "rotated_away"})
