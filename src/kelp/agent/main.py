"""The agent as a process: put together from Settings, run, told to reload, stopped.

The thread that calls `run` reads and writes the spool; one thread ships; one answers HTTP.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import FrameType

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from kelp import __version__
from kelp.agent.ask import Asks
from kelp.agent.ask.channel import Channel
from kelp.agent.assemble.traces import RecordAssembler
from kelp.agent.collect import PodLogCollector
from kelp.agent.connection import Connection
from kelp.agent.enrich import Enricher
from kelp.agent.http import AgentServer
from kelp.agent.kubernetes import Annotations
from kelp.agent.memory import forget_startup
from kelp.agent.own import Made, settings_text, spool_on_disk, state
from kelp.agent.parse import Parser
from kelp.agent.pipeline import Pace, Pipeline, Stages
from kelp.agent.reload import compare, with_live_keys
from kelp.agent.segmenter import Segmenter
from kelp.agent.ship import Client, Shipper
from kelp.agent.sources import node_sources
from kelp.agent.spool import Disk, Spool, SpoolError, Vault
from kelp.base.backoff import Backoff
from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import KelpError
from kelp.base.settings import Settings
from kelp.base.telemetry import set_log_level
from kelp.wire.asks import Ask, Presence

_log = logging.getLogger(__name__)

# When a server that cannot be reached makes the agent unready: longer than a server's restart.
UNREADY_AFTER_S = 60.0
# When a reading loop that does not come round makes it unhealthy: longer than a slow disk's sync.
UNHEALTHY_AFTER_S = 120.0

_SETTLED_AFTER_S = 3.0

# Of the five seconds that a stop may take.
_DRAIN_S = 2.0
_STOP_SHIPPING_S = 1.0


class Agent:
    """One agent; `run` once."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings] | None = None,
        clock: Clock | None = None,
        when_settled: Callable[[], None] = lambda: None,
        collectors: Sequence[Collector] = (),
        answers: Answers | None = None,
    ) -> None:
        """`load` reads the settings again, for `reload`; raises KelpError where it cannot.

        `when_settled` is called once, when all code that a running agent uses has been used.
        `collectors` tell further metrics, which are none of the agent's own, on /metrics.
        `answers` are given to what is asked of this node, unless the settings say no.
        """
        self._answers = answers if settings.agent.answer_asks else None
        self._when_settled = when_settled
        self._settings = settings
        self._load = load or (lambda: settings)
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._reload_wanted = threading.Event()
        self._reload_lock = threading.Lock()
        self._parts: _Parts | None = None
        self.registry = CollectorRegistry()
        for collector in collectors:
            self.registry.register(collector)

    def run(self) -> None:
        """Collect until `stop`; raises KelpError where the agent cannot start."""
        server = AgentServer(self._settings.agent.listen, self)
        server.start()
        try:
            spool = self._open_spool()
            if spool is not None:
                try:
                    self._run_with(spool, server.address)
                finally:
                    spool.close()
        finally:
            server.stop()

    def stop(self) -> None:
        """Let `run` return, within five seconds; from any thread or a signal handler."""
        self._stop.set()
        if self._parts is not None:
            self._parts.collector.wake()

    def want_reload(self) -> None:
        """Reload soon; for a signal handler, which must not do it itself."""
        self._reload_wanted.set()
        if self._parts is not None:
            self._parts.collector.wake()

    # What the HTTP routes ask for.

    def metrics(self) -> bytes:
        """See http.Operations."""
        # Some parts count in the library's own registry, which also describes the process.
        return generate_latest(self.registry) + generate_latest(REGISTRY)

    def unhealthy(self) -> list[str]:
        """See http.Operations."""
        parts = self._parts
        if parts is None:
            return []
        silent_s = self._clock.monotonic() - parts.pipeline.beat
        if silent_s < UNHEALTHY_AFTER_S:
            return []
        return [f"the reading loop has not come round for {silent_s:.0f} s"]

    def unready(self) -> list[str]:
        """See http.Operations."""
        parts = self._parts
        if parts is None:
            return ["starting"]
        reasons = []
        if parts.pipeline.state:
            reasons.append(f"reading waits for the spool: {parts.pipeline.state}")
        failing_s = parts.shipper.failing_for_s()
        if failing_s >= UNREADY_AFTER_S:
            reasons.append(
                f"nothing could be delivered for {failing_s:.0f} s: {parts.shipper.last_reason}"
            )
        return reasons

    def reload(self) -> str:
        """See http.Operations."""
        with self._reload_lock:
            new = self._load()
            difference = compare(self._settings, new)
            if self._parts is not None:
                self._parts.apply(new, difference.live)
            set_log_level(new.log_level)
            self._settings = with_live_keys(self._settings, new)
        _log.info("settings read again", extra={"result": difference.text()})
        return difference.text()

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._settings

    def own_files(self) -> list[Made]:
        """What the agent says of itself: names of files, and what makes each."""
        made: list[Made] = [
            ("settings.yaml", lambda: settings_text(self._settings)),
            ("metrics.txt", self.metrics),
            ("spool.json", lambda: spool_on_disk(self._settings)),
        ]
        if parts := self._parts:
            spool = parts.spool
            made.append(("state.json", lambda: state(spool.state(), spool.checkpoint_sizes())))
        return made

    # The way from start to stop.

    def _open_spool(self) -> Spool | None:
        """The spool; waits while its disk is full or fails, None where the agent is stopped."""
        spool = self._settings.agent.spool
        vault = Vault.of_key_file(spool.encryption_key_file, spool.encrypt)
        backoff = Backoff(0.2, 5.0, draw=lambda: 1.0)
        while not self._stop.is_set():
            try:
                return Spool(
                    self._settings.under_data_dir(spool.dir, "spool"),
                    max_bytes=spool.max_bytes,
                    vault=vault,
                    disk=Disk(spool.fsync == "always"),
                    registry=self.registry,
                )
            except SpoolError as e:
                if not backoff.failures:
                    _log.warning("the spool cannot be opened; waiting", extra={"error": str(e)})
            self._stop.wait(backoff.next_s())
        return None

    def _run_with(self, spool: Spool, address: str) -> None:
        parts = self._parts = _Parts(self._settings, spool, self._clock, self.registry)
        parts.shipper.start()
        parts.annotations.start()
        if self._answers is not None:
            parts.answer(self._answers, self)
        _log.info(
            "agent started",
            extra={
                "version": __version__,
                "listen": address,
                "pods_dir": self._settings.agent.pods_dir,
                "server": parts.client.url,
                "agent_id": spool.agent_id,
                "waiting_segments": spool.waiting,
            },
        )
        try:
            self._loop(parts)
            if parts.asks is not None:
                parts.asks.stop(_STOP_SHIPPING_S)  # no question more, while the rest goes out
            parts.pipeline.finish()
            self._drain(parts)
        finally:
            parts.shipper.stop(_STOP_SHIPPING_S)
            if parts.asks is not None:
                parts.asks.stop(_STOP_SHIPPING_S)
            parts.annotations.stop()
            parts.collector.close()
            for source in parts.others:
                source.collector.close()
        _log.info("agent stopped", extra={"waiting_segments": spool.waiting})

    def _loop(self, parts: _Parts) -> None:
        settled_at: float | None = self._clock.monotonic() + _SETTLED_AFTER_S
        while not self._stop.is_set():
            if settled_at is not None and self._clock.monotonic() >= settled_at:
                settled_at = None
                self._when_settled()
            if self._reload_wanted.is_set():
                self._reload_wanted.clear()
                self._reload_or_tell()
            wait_s = parts.pipeline.step()
            if parts.pipeline.idle:
                parts.collector.wait(wait_s)
            else:
                self._stop.wait(wait_s)

    def _reload_or_tell(self) -> None:
        try:
            self.reload()
        except KelpError as e:
            _log.error("the old settings stay", extra={"error": str(e)})

    def _drain(self, parts: _Parts) -> None:
        """Let what waits be delivered, unless the server is away."""
        end = self._clock.monotonic() + _DRAIN_S
        while parts.spool.waiting > 0 and self._clock.monotonic() < end:
            if parts.shipper.failing_for_s() > 0:
                return
            self._clock.sleep(0.01)


@dataclass(frozen=True)
class Answers:
    """What is known of this node: the reports' names, and what gives an answer's bytes.

    `give` raises RefusedAskError, and KelpError where the node cannot tell; called from several
    threads.
    """

    reports: list[str]
    give: Callable[[Ask, Agent], Iterable[bytes]]


class _Parts:
    """A running agent's parts, made from its settings."""

    def __init__(
        self, settings: Settings, spool: Spool, clock: Clock, registry: CollectorRegistry
    ) -> None:
        agent = settings.agent
        self.spool = spool
        self._clock = clock
        self._settings, self._registry = settings, registry
        self.asks: Asks | None = None
        self.client = self._client(settings)
        self.collector = PodLogCollector(agent, clock, spool.checkpoints("collect"), registry)
        self.others = node_sources(agent, clock, spool.checkpoints, self.collector.metrics)
        assembler = RecordAssembler(agent, spool.checkpoints("assemble"))
        self.annotations = Annotations(agent, self.collector.metrics, os.environ)
        parser = Parser(agent, spool.checkpoints("parse"), self.annotations.format_for)
        self.pipeline = Pipeline(
            Stages(self.collector, assembler, parser, Enricher().log_batch, self.others),
            spool,
            Segmenter(spool.agent_id, agent.node),
            Pace(agent.spool.segment_bytes, agent.spool.flush_interval_s, agent.poll_interval_s),
            clock,
            registry,
        )
        self.shipper = Shipper(spool, self.client, agent.ship.backoff_max_s, clock, registry)

    def apply(self, new: Settings, live: list[str]) -> None:
        """Let the live keys take effect; raises ConfigError, and then none has."""
        if any(key.startswith("agent.ship.") for key in live):
            self.client = self._client(new)
            self.shipper.reconfigure(self.client, new.agent.ship.backoff_max_s)
            if self.asks is not None:
                self.asks.reconfigure(self._channels(new))
        spool = new.agent.spool
        self.spool.max_bytes = spool.max_bytes
        self.pipeline.pace = Pace(
            spool.segment_bytes, spool.flush_interval_s, self.pipeline.pace.poll_interval_s
        )

    def answer(self, answers: Answers, agent: Agent) -> None:
        """Begin to answer what is asked of the node."""
        presence = Presence(
            node=self._settings.agent.node, version=__version__, reports=answers.reports
        )
        self.asks = Asks(
            self._channels(self._settings),
            presence,
            lambda ask: answers.give(ask, agent),
            self._clock,
            self._registry,
        )
        self.asks.start()

    def _channels(self, settings: Settings) -> Callable[[float], Channel]:
        ship = settings.agent.ship
        token_file = settings.under_data_dir(ship.token_file, "token")

        def connect(extra_s: float) -> Channel:
            connection = Connection(ship, token_file, ship.timeout_s + extra_s)
            return Channel(connection, self.spool.agent_id)

        return connect

    def _client(self, settings: Settings) -> Client:
        ship = settings.agent.ship
        token_file = settings.under_data_dir(ship.token_file, "token")
        return Client(ship, token_file, self.spool.agent_id)


def run_agent(
    settings: Settings,
    load: Callable[[], Settings],
    collectors: Sequence[Collector] = (),
    answers: Answers | None = None,
) -> None:
    """Run an agent as this process: signals stop and reload it; returns after a clean stop."""
    agent = Agent(
        settings, load, when_settled=forget_startup, collectors=collectors, answers=answers
    )

    def on_stop(_number: int, _frame: FrameType | None) -> None:
        agent.stop()

    def on_hangup(_number: int, _frame: FrameType | None) -> None:
        agent.want_reload()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    signal.signal(signal.SIGHUP, on_hangup)
    agent.run()
