"""How `kelp node` shows its reports: once or again and again, as text or as JSON.

On a terminal a watched report takes the screen's place; in a pipe each follows the one before, with
an empty line between. What a report lacks is told on standard error, so that it is in nobody's way.
"""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast

import click

from kelp.base.clock import Clock, SystemClock
from kelp.cli.options import FOLDER
from kelp.node.host.reading import Roots
from kelp.node.host.report import Report, json_line
from kelp.node.host.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", bound=Report)
R_co = TypeVar("R_co", bound=Report, covariant=True)

WATCH_S = 2.0
# Rates need two looks; `top` looks again after as long.
FIRST_INTERVAL_S = 1.0

Style = Literal["screen", "blocks", "lines"]

_CLEAR = "\x1b[H\x1b[2J"


class Sampler(Protocol[R_co]):
    """What makes reports."""

    def sample(self) -> R_co:
        """Look now."""


class View:
    """The options that all subcommands share."""

    def __init__(
        self,
        roots: Roots,
        output: str,
        watch_s: float | None,
        count: int | None,
        clock: Clock | None = None,
    ) -> None:
        roots.check()
        self.roots = roots
        self.clock = clock or SystemClock()
        self._json = output == "json"
        self._watch_s = watch_s
        self._count = count
        self._told: set[str] = set()

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where the output is none."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    @property
    def height(self) -> int | None:
        """Lines of a terminal whose screen is taken; None elsewhere."""
        redraws = self._watch_s is not None and sys.stdout.isatty()
        return shutil.get_terminal_size().lines if redraws else None

    def show(
        self,
        sampler: Sampler[R],
        lines: Callable[[R], Iterator[str]],
        *,
        primed: bool = False,
        style: Style = "screen",
    ) -> None:
        """Show reports as the options say.

        `primed`: the first look is only there for the second one's rates. `style`: whether reports
        take a terminal's screen in turn, follow each other as blocks, or line by line.
        """
        if primed:
            sampler.sample()
            self.clock.sleep(min(self._watch_s or FIRST_INTERVAL_S, FIRST_INTERVAL_S))
        for number in self._turns():
            report = sampler.sample()
            if self._json:
                click.echo(json_line(report))
            elif self.height is not None and style == "screen":
                self._redraw(report, lines)
            else:
                if number and style != "lines":
                    click.echo()
                self._follow(report, lines)

    def _turns(self) -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1
            if self._watch_s is None or number == self._count:
                return
            sys.stdout.flush()
            self.clock.sleep(self._watch_s)

    def _redraw(self, report: R, lines: Callable[[R], Iterator[str]]) -> None:
        notes = [f"note: {n}"[: self.width] for n in report.notes]
        room = max((self.height or 0) - 1 - len(notes), 1)
        click.echo(_CLEAR + "\n".join([*list(lines(report))[:room], *notes]))

    def _follow(self, report: R, lines: Callable[[R], Iterator[str]]) -> None:
        for line in lines(report):
            click.echo(line)
        for note in report.notes:
            if note not in self._told:
                self._told.add(note)
                click.echo(f"kelp: note: {note}", err=True)


def view_options(function: F) -> F:
    """The shared options; the command gets a `view`."""

    @functools.wraps(function)
    def with_view(
        *args: Any,
        output: str,
        watch_s: float | None,
        count: int | None,
        proc: Path,
        sys_: Path,
        pods_dir: Path,
        **rest: Any,
    ) -> Any:
        if count is not None and watch_s is None:
            watch_s = WATCH_S
        view = View(Roots(proc, sys_, pods_dir), output, watch_s, count)
        return function(*args, view=view, **rest)

    decorated: Any = with_view
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast(F, decorated)


_OPTIONS = (
    click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="Text for people, or one JSON object a report.",
    ),
    click.option(
        "--watch",
        "watch_s",
        type=click.FloatRange(min=0.1),
        is_flag=False,
        flag_value=WATCH_S,
        metavar="[SECONDS]",
        help=f"Look again and again, every SECONDS ({WATCH_S:g} if not given).",
    ),
    click.option(
        "--count", type=click.IntRange(min=1), help="Stop after so many looks. Implies --watch."
    ),
    click.option(
        "--proc", type=FOLDER, default=Path("/proc"), help="The node's proc. Default: /proc."
    ),
    click.option(
        "--sys", "sys_", type=FOLDER, default=Path("/sys"), help="The node's sys. Default: /sys."
    ),
    click.option(
        "--pods-dir",
        type=FOLDER,
        default=Path("/var/log/pods"),
        help="Folder that tells pods' names. Default: /var/log/pods.",
    ),
)


def pod_options(*namespace_flags: str) -> Callable[[F], F]:
    """--namespace (and its short form, if given) and --pod; the command gets a `selection`."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def with_selection(*args: Any, namespace: str, pod: str, **rest: Any) -> Any:
            return function(*args, selection=Selection(namespace, pod), **rest)

        decorated: Any = click.option(
            "--pod", default="", help="Only of this pod: name or uid, or a beginning with *."
        )(with_selection)
        return cast(
            F,
            click.option(
                *namespace_flags, "namespace", default="", help="Only of pods in this namespace."
            )(decorated),
        )

    return decorate


def sort_option(sorts: dict[str, Any], default: str) -> Callable[[F], F]:
    """--sort, with the orders that a report has."""
    return click.option(
        "--sort", type=click.Choice(list(sorts)), default=default, show_default=True,
        help="By what the rows are ordered.",
    )  # fmt: skip


def limit_option(function: F) -> F:
    """--limit, the number of rows."""
    return click.option("--limit", type=click.IntRange(min=1), help="Show so many rows at most.")(
        function
    )
