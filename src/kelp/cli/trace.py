"""`kelp trace`: from a pod or a record to its files, and from a file's byte back to its record.

This file turns arguments into a question and asks all sides; what is meant is found in
kelp.cli.trace_find, what each side says comes together in kelp.cli.trace_report, one place in
kelp.cli.trace_point, bytes and records in kelp.cli.trace_verify.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from kelp.agent.lookback.state import AgentState, read_state
from kelp.base.clock import SystemClock
from kelp.base.errors import KelpError
from kelp.base.settings import Settings
from kelp.cli.client import Client, Connection
from kelp.cli.instance import find_instance, instance_path
from kelp.cli.logs_find import Finder
from kelp.cli.logs_select import check_pattern, parse_target
from kelp.cli.options import FOLDER, client_options, config_option, load
from kelp.cli.trace_find import Search, Traced, Wanted
from kelp.cli.trace_point import Point, of_offset, of_record
from kelp.cli.trace_report import Log, gather, report
from kelp.cli.trace_show import TraceAnswer, as_json, lines
from kelp.cli.trace_store import TraceStore
from kelp.cli.trace_verify import Verdict, verify
from kelp.node.trace.runtime import LogConfiguration, read_configuration

_MAX_U64 = (1 << 64) - 1

# Option → key of the settings.
_FOLDERS = {
    "pods_dir": "agent.pods_dir",
    "containers_dir": "agent.containers_dir",
    "data_dir": "data_dir",
}


@dataclass(frozen=True)
class Asked:
    """What one call is about; exactly one of the three forms is set."""

    wanted: Wanted | None = None
    record: tuple[int, int] | None = None
    path: Path | None = None
    offset: int | None = None
    verify: bool = False


@click.command("trace")
@click.argument("target", required=False)
@click.option("-n", "--namespace", help="Only of this namespace. Default: of all.")
@click.option("-c", "--container", help="Container name, or a pattern that fits the whole name.")
@click.option("-p", "--previous", is_flag=True, help="The run before each container's newest.")
@click.option("--all-runs", is_flag=True, help="Every run; default: each container's newest.")
@click.option("--record", metavar="STREAM_ID:POSITION",
              help="A stored record, as `kelp logs -o json` names it by its id.")  # fmt: skip
@click.option("--verify", "verifying", is_flag=True, help="Read the files on this node again, and "
              "compare them with what is stored.")  # fmt: skip
@click.option("--local", is_flag=True, help="Ask no server: what is on this node alone.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table",
              show_default=True)  # fmt: skip
@click.option("--pods-dir", type=FOLDER, help="Where the kubelet keeps containers' logs. "
              "Default: agent.pods_dir, or those of the `kelp up` that runs here.")  # fmt: skip
@click.option("--containers-dir", type=FOLDER, help="Where the kubelet keeps links to them. "
              "Default: agent.containers_dir (/var/log/containers).")  # fmt: skip
@click.option("--data-dir", type=FOLDER, help="Of the agent, whose state is shown. "
              "Default: data_dir, or that of the `kelp up` that runs here.")  # fmt: skip
@click.option("--root", type=FOLDER, default=Path("/"), show_default=True,
              help="The node's root folder, for the runtime's configuration.")  # fmt: skip
@config_option
@client_options
def trace(
    connection: Connection, config_file: Path | None, local: bool, output: str, root: Path,
    **others: Any,
) -> None:  # fmt: skip
    """Show where logs are: TARGET's files, and what of them is collected, spooled and stored.

    \b
      kelp trace pod/web-0 -n shop                      its files, links, rotation
      kelp trace deployment/web -c app --previous
      kelp trace --record 1234567890123456789:4711      from a stored record to its bytes
      kelp trace /var/log/pods/…/0.log:4711             from a byte back to its record
      kelp trace pod/web-0 -n shop --verify             compare the files with the store

    TARGET is a pod, a pattern of pod names, a workload, or the path of a log: of a container, a
    rotated one, a .gz (offsets count its content), a link to one, or one of agent.files. On a node
    it works without a server, elsewhere with a server alone. --verify exits with 1 where a record
    differs or is missing.
    """
    folders = {key: others.pop(name) for name, key in _FOLDERS.items()}
    asked = _asked(**others)
    settings = _settings(config_file, {k: str(v) for k, v in folders.items() if v is not None})
    answer = _Tracing(settings, root, None if local else Client(connection)).answer(asked)
    if output == "json":
        click.echo(as_json(answer))
    else:
        for line in lines(answer):
            click.echo(line)
        for note in answer.notes:
            click.echo(f"kelp: note: {note}", err=True)
    if not all(v.good for v in answer.verified or ()):
        sys.stdout.flush()
        raise click.exceptions.Exit(1)


def _settings(config_file: Path | None, given: dict[str, str]) -> Settings:
    """Those in force; folders that nobody named are those of the `kelp up` that runs here."""
    config = load(config_file, given)
    instance = find_instance(instance_path(os.environ))
    if instance is None:
        return config.settings
    folders = {"agent.pods_dir": instance.pods_dir, "data_dir": instance.data_dir}
    unnamed = {k: v for k, v in folders.items() if v and config.origins[k] == "default"}
    return load(config_file, given | unnamed).settings


def _asked(  # noqa: PLR0913 - one argument a flag
    *,
    target: str | None,
    namespace: str | None,
    container: str | None,
    previous: bool,
    all_runs: bool,
    record: str | None,
    verifying: bool,
) -> Asked:
    """The flags as a question; raises UsageError and KelpError."""
    if previous and all_runs:
        raise click.UsageError("expected one of --previous and --all-runs; got both")
    is_path = target is not None and target.startswith(("/", "./", "../"))
    selecting = bool(namespace or container or previous or all_runs)
    if record is not None:
        if target is not None or selecting:
            raise click.UsageError("--record names one log: leave out TARGET, -n, -c and the runs")
        return Asked(record=_record(record), verify=verifying)
    if target is not None and is_path:
        if selecting:
            raise click.UsageError("a path names one log: leave out -n, -c and the runs")
        path, offset = _path(target)
        return Asked(path=path, offset=offset, verify=verifying)
    if target is None and not namespace:
        raise click.UsageError("expected a pod, a workload, a path, -n or --record; got none")
    if container:
        check_pattern("--container", container)
    runs = "previous" if previous else "all" if all_runs else "newest"
    meant = parse_target(target) if target else None
    return Asked(Wanted(meant, namespace or "", container or "", runs), verify=verifying)


def _record(text: str) -> tuple[int, int]:
    numbers = text.split(":")
    if len(numbers) != 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        raise click.UsageError(f"--record: expected STREAM_ID:POSITION; got {text!r}")
    stream_id, position = map(int, numbers)
    if max(stream_id, position) > _MAX_U64:
        raise click.UsageError(f"--record: expected two numbers of 64 bits; got {text!r}")
    return stream_id, position


def _path(text: str) -> tuple[Path, int | None]:
    """PATH or PATH:OFFSET; a file that is really called so goes before."""
    head, colon, tail = text.rpartition(":")
    if not colon or Path(text).is_file():
        return Path(text), None
    if not (tail.isascii() and tail.isdigit()):
        raise click.UsageError(f"expected PATH:OFFSET with a number of bytes; got {text!r}")
    return Path(head), min(int(tail), _MAX_U64 >> 2)


class _Tracing:
    """Asks the node, its agent and the store; what cannot be asked is told in notes."""

    def __init__(self, settings: Settings, root: Path, client: Client | None) -> None:
        self._settings = settings
        self._containers_dir = Path(settings.agent.containers_dir or "/var/log/containers")
        self._root = root
        self._client = client
        self._store = TraceStore(client) if client is not None else None
        self._notes: list[str] = []
        self._clock = SystemClock()

    def answer(self, asked: Asked) -> TraceAnswer:
        """The answer; raises KelpError where there is none."""
        if asked.verify and self._store is None:
            raise KelpError("--verify compares with what a server has stored: leave out --local")
        # Before the store is asked: what an older state has delivered is there by then.
        state = self._agent_state()
        looked_ns = self._clock.now_ns()
        found, path = self._found(asked)
        if not found:
            raise KelpError(self._nothing(asked))
        if isinstance(state, str) and any(t.place is not None for t in found):
            self._notes.append(state)
        known = state if isinstance(state, AgentState) else None
        logs = [gather(t, known, looked_ns) for t in found]
        return TraceAnswer(
            logs=[self._report(log) for log in logs],
            point=self._point(asked, logs[0], path),
            verified=[self._verify(log) for log in logs] if asked.verify else None,
            configuration=self._configuration(found),
            notes=list(dict.fromkeys(self._notes)),
        )

    def _found(self, asked: Asked) -> tuple[list[Traced], Path | None]:
        """The logs that are meant; a server that cannot be asked is no reason not to look here."""
        try:
            return self._search(asked, self._store)
        except KelpError as e:
            if self._store is None or asked.record is not None or asked.verify:
                raise
            self._notes.append(f"the store was not asked: {e}")
            self._store = None
            return self._search(asked, None)

    def _search(self, asked: Asked, store: TraceStore | None) -> tuple[list[Traced], Path | None]:
        search = Search(self._settings.agent, store)
        try:
            if asked.record is not None:
                return [search.by_record("{}:{}".format(*asked.record))], None
            if asked.path is not None:
                traced, path = search.by_path(asked.path)
                return [traced], path
            assert asked.wanted is not None
            return search.by_name(asked.wanted), None
        finally:
            self._notes += search.notes

    def _nothing(self, asked: Asked) -> str:
        notes = "".join(f"\n{note}" for note in dict.fromkeys(self._notes))
        assert asked.wanted is not None  # a record or a path has a log, or an error of its own
        wanted = asked.wanted
        if wanted.runs == "previous":
            return f"no earlier run of the containers that fit is here or stored{notes}"
        if self._client is None or self._store is None:
            return f"no log on this node fits{notes}"
        known = Finder(self._client).nothing_found(wanted.target, wanted.namespace)
        return f"no log on this node fits; in the store: {known}{notes}"

    def _agent_state(self) -> AgentState | str:
        """The state of this machine's agent, or why there is none."""
        agent = self._settings.agent
        try:
            return read_state(self._settings.under_data_dir(agent.spool.dir, "spool"), agent)
        except KelpError as e:
            return str(e)

    def _report(self, log: Log) -> Any:
        try:
            return report(log, self._containers_dir)
        except OSError as e:
            self._notes.append(f"{self._containers_dir}: {e.strerror or e}")
            return report(log, Path("/nonexistent"))

    def _point(self, asked: Asked, log: Log, path: Path | None) -> Point | None:
        if asked.record is not None:
            assert self._store is not None
            return of_record(log, self._store, *asked.record)
        if path is not None and asked.offset is not None:
            return of_offset(log, self._store, path, asked.offset)
        return None

    def _verify(self, log: Log) -> Verdict:
        assert self._store is not None
        agent = self._settings.agent
        if log.traced.place is None:
            node = log.traced.labels.get("node", "its own")
            self._notes.append(f"nothing was compared: the files are on node {node}; run it there")
        return verify(log, self._store, self._clock, agent.max_record_bytes)

    def _configuration(self, found: list[Traced]) -> LogConfiguration | None:
        if not any(t.place is not None and t.place.of_container for t in found):
            return None
        configuration = read_configuration(self._root)
        self._notes += configuration.notes
        return configuration
