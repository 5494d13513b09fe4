"""`kelp oom`: whom the kernel killed for want of memory.

From a saved log, or from this machine's own kernel and from what a server has stored of all nodes.
Where a server answers, what stands around a kill is shown beside it: the container's last lines,
its restarts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, BinaryIO, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import KelpError
from kelp.base.oom import Calendar, Kill, kills_in, scan
from kelp.cli.oom_view import View
from kelp.cli.options import server_options
from kelp.node.oom.kmsg import boot_time, records
from kelp.node.oom.source import LogCutOffError, blocks, unpacked
from kelp.node.text import printable

_STDIN = "-"
_SEEN_MAX = 65_536  # kills by which a second file is told to hold the same; more is no node's log


class _Zone(click.ParamType[tzinfo]):
    name = "zone"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tzinfo:
        """A zone by its name in the time zone database."""
        try:
            return value if isinstance(value, tzinfo) else ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"expected a name like UTC or Europe/Berlin; got {value!r}", param, ctx)


class _Moment(click.ParamType[datetime]):
    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """An RFC 3339 time; without an offset it is UTC."""
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"expected a time like 2026-11-20T10:11:12Z; got {value!r}", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


@click.command("oom")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH",
    help="A saved kernel log, - for standard input; may be repeated. dmesg, /dev/kmsg, syslog, "
    "journalctl in any output mode, JSON; .gz, .xz and .bz2 too. Default: this machine's kernel.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="One line a kill for people, or one JSON object a kill.",
)
@click.option("--details", "with_details", is_flag=True, help="Show all facts under each kill.")
@click.option("--tasks", "with_tasks", is_flag=True, help="Show the kernel's task table too.")
@click.option(
    "--timezone",
    "zone",
    type=_Zone(),
    help="Zone of times that name none. Default: this machine's.",
)
@click.option(
    "--boot-time",
    "boot",
    type=_Moment(),
    help="When the machine of the log booted: turns seconds since boot into times.",
)
@click.option("--node", default="", help="Kills of this node, from the server alone.")
@click.option("--since", default="", help="Kills since so long ago, or since a time: 2h, 7d.")
@click.option(
    "--lines",
    type=click.IntRange(0, 1000),
    default=5,
    show_default=True,
    help="So many of the container's last lines before the kill, from the server.",
)
@click.option("--events", is_flag=True, help="Kubernetes' events about the pod too.")
@server_options
def oom(
    files: tuple[str, ...],
    output: str,
    with_details: bool,
    with_tasks: bool,
    zone: tzinfo | None,
    boot: datetime | None,
    **asked: Any,
) -> None:
    """Show every process that the kernel's OOM killer killed.

    When, for whose limit (a container's, a pod's, the whole machine's), which process with how much
    memory, and in which pod and container it ran. Without --file: what this machine's kernel still
    knows, and what a server has stored of all nodes, with the container's last lines before the
    kill and its restarts after it.
    """
    view = View(output, with_details, with_tasks)
    if not files:
        _show_known(asked, boot, view)
        return
    if any(asked[name] for name in ("node", "since", "events", "url")):
        raise click.UsageError(
            "--node, --since, --events and --url are for kills that a server has stored; "
            "leave them out with --file"
        )
    _show_files(files, zone, boot, view)


def _show_known(asked: dict[str, Any], boot: datetime | None, view: View) -> None:
    """Kills of this machine's kernel and of a server."""
    # With the HTTP client, which a saved log does without.
    from kelp.cli.oom_known import Asked, find_known  # noqa: PLC0415

    clock = SystemClock()
    known = find_known(Asked(**asked), clock, lambda: _from_kernel(boot, clock))
    for kill, around in known.kills:
        for line in view.known(kill, around, clock.now_ns()):
            click.echo(line)
    for warning in known.warnings:
        click.echo(f"kelp: warning: {warning}", err=True)
    if not known.kills and not view.is_json:
        click.echo(f"No kill by the kernel {known.where}.")


def _show_files(
    files: tuple[str, ...], zone: tzinfo | None, boot: datetime | None, view: View
) -> None:
    count = 0
    failure: KelpError | None = None
    try:
        for kill in _from_files(files, zone, boot, SystemClock()):
            count += 1
            for line in view.kill(kill):
                click.echo(line)
    except LogCutOffError as e:
        failure = e
    if failure is not None:
        raise failure
    if count == 0 and not view.is_json:
        click.echo(f"No kill by the kernel in {', '.join(map(printable, files))}.")


def _from_kernel(boot: datetime | None, clock: Clock) -> Iterator[Kill]:
    calendar = Calendar(zone=UTC, not_after=_now(clock), boot=boot or boot_time(clock))
    lines = (line for record in records() for line in record.rstrip(b"\n").split(b"\n"))
    return kills_in(lines, calendar)


def _from_files(
    files: tuple[str, ...], zone: tzinfo | None, boot: datetime | None, clock: Clock
) -> Iterator[Kill]:
    """The kills in all files; one that stands in two of them (kern.log, syslog) is given once."""
    seen: set[tuple[object, ...]] = set()
    late: LogCutOffError | None = None
    for name in files:
        new: set[tuple[object, ...]] = set()
        try:
            for kill in _from_file(name, zone, boot, clock):
                key = _identity(kill)
                if key in seen:
                    continue
                if key is not None and len(seen) + len(new) < _SEEN_MAX:
                    new.add(key)
                yield kill
        except LogCutOffError as e:
            late = late or e
        seen |= new
    if late is not None:
        raise late


def _identity(kill: Kill) -> tuple[object, ...] | None:
    # A pid comes round again after months at the earliest, seconds since boot to the microsecond
    # never; a time in whole seconds does with a pid.
    if kill.pid is None or (kill.boot_s is None and kill.time is None):
        return None
    return (kill.node, kill.pid, kill.process, kill.boot_s if kill.boot_s else kill.time)


def _from_file(
    name: str, zone: tzinfo | None, boot: datetime | None, clock: Clock
) -> Iterator[Kill]:
    with ExitStack() as stack:
        raw, written = _opened(name, clock, stack)
        calendar = Calendar(zone=zone, not_after=written, boot=boot)
        for kill in scan(blocks(unpacked(raw, name), name), calendar):
            kill.file = None if name == _STDIN else name
            yield kill


def _opened(name: str, clock: Clock, stack: ExitStack) -> tuple[BinaryIO, datetime]:
    """The file, and a moment at which it was already written."""
    if name == _STDIN:
        return sys.stdin.buffer, _now(clock)
    try:
        file = stack.enter_context(Path(name).open("rb"))  # noqa: SIM115 - the stack closes it
        changed = datetime.fromtimestamp(Path(name).stat().st_mtime, UTC)
    except OSError as e:
        raise KelpError(
            f"{name}: cannot read: {e.strerror or e}. Expected a log, or - for standard input"
        ) from e
    return cast(BinaryIO, file), min(changed, _now(clock))


def _now(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)
