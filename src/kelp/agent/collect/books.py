"""What is kept of a source that is no file: how far it was read, and what of it was lost.

journald and the kernel's log differ in all but this: a place that the pipeline commits with the
records behind which it lies, and losses of which nobody knows the size.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from kelp.agent.collect.metrics import CollectMetrics
from kelp.model.loss import Loss, SourceFile
from kelp.model.raw import Instance

_log = logging.getLogger(__name__)


class SourcePlace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a source was read; as JSON, so that a person can read it in the database."""

    version: int = 1


P = TypeVar("P", bound=SourcePlace)


class Books(Generic[P]):
    """Of one source, which is its name in metrics, and the key of its only checkpoint."""

    def __init__(
        self, source: str, of: type[P], checkpoints: Mapping[str, bytes], metrics: CollectMetrics
    ) -> None:
        self._source = source
        self._of = of
        self._metrics = metrics
        self._reached: P | None = None
        self._losses: list[Loss] = []
        self.restored = self._decoded(checkpoints.get(source))
        """Where an earlier run has committed that it was; None where there was none."""
        self.up(False)

    def _decoded(self, data: bytes | None) -> P | None:
        if data is None:
            return None
        try:
            place = msgspec.json.decode(data, type=self._of)
            if place.version == _version(self._of):
                return place
        except msgspec.DecodeError:
            pass
        self._metrics.bad_checkpoints.inc()
        _log.error(
            "a source is read again, for its checkpoint cannot be used",
            extra={"source": self._source},
        )
        return None

    def reach(self, place: P) -> None:
        """What was given out ends here."""
        self._reached = place

    def changes(self) -> dict[str, bytes | None]:
        """See kelp.agent.pipeline.Collector."""
        if self._reached is None:
            return {}
        place, self._reached = self._reached, None
        return {self._source: msgspec.json.encode(place)}

    def lose(self, labels: Mapping[str, str], position: int, start_ns: int, end_ns: int) -> None:
        """Records from `position` on are gone; how large they were nobody knows."""
        loss = Loss(
            labels=dict(labels),
            position=position,
            size_bytes=0,
            start_ns=min(start_ns, end_ns),
            end_ns=end_ns,
            reason="rotated_away",
        )
        self._losses.append(loss)
        self._metrics.count_loss(loss)

    def losses(self) -> list[Loss]:
        """See kelp.agent.pipeline.Collector."""
        losses, self._losses = self._losses, []
        return losses

    def source_files(self) -> list[SourceFile]:
        """None: no position of such a source leads to bytes of a file."""
        return []

    def up(self, reading: bool) -> None:
        """Tell whether the source is read."""
        self._metrics.source_up.labels(self._source).set(reading)

    def failed(self, reason: str, count: int = 1) -> None:
        """Count a failure, by its bounded reason."""
        self._metrics.source_failures.labels(self._source, reason).inc(count)

    def gave(self, records: int) -> None:
        """Count records that were given out."""
        self._metrics.source_records.labels(self._source).inc(records)

    def missed(self, records: int) -> None:
        """Count records that are known to be gone."""
        self._metrics.source_lost_records.labels(self._source).inc(records)


def _version(of: type[SourcePlace]) -> int:
    """The version that a place of now has, by its default."""
    (field,) = (f for f in msgspec.structs.fields(of) if f.name == "version")
    return int(field.default)


def instance_of(source: str, name: str, labels: Mapping[str, str]) -> Instance:
    """One of a source's instances; empty labels are left out."""
    return Instance(f"{source}:{name}", {k: v for k, v in labels.items() if v})
