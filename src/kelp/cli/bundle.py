"""A support bundle put together: of the agent that runs as this process, or of this machine.

Both have the same of the node; of the agent a running one knows more than its files tell.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from kelp import __version__
from kelp.agent.own import Made, settings_text, spool_folder, spool_on_disk
from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.base.settings import Settings
from kelp.cli.answers import redactor_of, roots_of
from kelp.cli.client import reachable
from kelp.node.bundle.archive import Archive
from kelp.node.bundle.collected import node_entries
from kelp.node.bundle.entry import AbsentError, Entry
from kelp.node.host.report import timestamp

_METRICS_TIMEOUT_S = 10.0
_MAX_METRICS_BYTES = 32 << 20


@dataclass(frozen=True)
class Bundle:
    """What a bundle is of. `own`: what Kelp's agent says of itself; `by`: who asks all this."""

    settings: Settings
    own: Sequence[Made]
    by: str

    @property
    def node(self) -> str:
        """The node's name."""
        return self.settings.agent.node

    def pieces(self, clock: Clock, time_s: float) -> Iterator[bytes]:
        """The archive's bytes; raises KelpError where the node's files cannot be seen at all."""
        roots = roots_of(self.settings)
        roots.check()
        redactor = redactor_of(self.settings, roots)
        now_ns = clock.now_ns()
        about = {
            "kelp": __version__,
            "node": self.node,
            "time": timestamp(now_ns),
            "made_by": self.by,
            "redacted": "what looks like a secret is [redacted]; no log of a container is here",
        }
        archive = Archive(folder_name(self.node, now_ns), about, redactor, clock, time_s)
        agent = self.settings.agent
        return archive.write(self._entries(node_entries(agent, roots, clock, redactor)))

    def _entries(self, of_node: Iterator[Entry]) -> Iterator[Entry]:
        for name, make in self.own:
            yield Entry(f"agent/{name}", make)
        yield from of_node


def folder_name(node: str, now_ns: int) -> str:
    """kelp-support-NODE-TIME, in letters that every file system has."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in node)
    digits = timestamp(now_ns).partition(".")[0].replace("-", "").replace(":", "")
    return f"kelp-support-{plain or 'node'}-{digits}Z"


def of_this_machine(settings: Settings) -> Bundle:
    """By the files of an agent that may or may not run, as the settings name them."""
    own: list[Made] = [
        ("settings.yaml", lambda: settings_text(settings)),
        ("metrics.txt", lambda: _metrics(settings)),
        ("spool.json", lambda: _spool(settings)),
        ("state.json", lambda: _state(settings)),
    ]
    return Bundle(settings, own, "kelp support-bundle")


def _metrics(settings: Settings) -> bytes:
    """What a running agent tells on /metrics."""
    url = f"http://{reachable(settings.agent.listen)}/metrics"
    # No proxy: the agent is here.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_METRICS_TIMEOUT_S) as answer:
            data: bytes = answer.read(_MAX_METRICS_BYTES)
            return data
    except (urllib.error.URLError, OSError) as e:
        raise AbsentError(f"no agent answers at {url}: {e}") from e


def _spool(settings: Settings) -> bytes:
    try:
        return spool_on_disk(settings)
    except FileNotFoundError:
        raise AbsentError(f"there is no spool {spool_folder(settings)}") from None
    except OSError as e:
        raise KelpError(f"the spool cannot be read: {e}") from e


def _state(settings: Settings) -> bytes:
    """How far the agent has read, by the spool's index."""
    from kelp.agent.lookback.state import read_state  # noqa: PLC0415 - Arrow; a few need it

    folder = spool_folder(settings)
    if not folder.is_dir():
        raise AbsentError(f"there is no spool {folder}")
    state = read_state(folder, settings.agent)
    logs = {key: state.collected(key) for key in sorted(state.logs)}
    return msgspec.json.encode(
        {"agent_id": state.agent_id, "waiting_segments": len(state.segments), "collected": logs}
    )
