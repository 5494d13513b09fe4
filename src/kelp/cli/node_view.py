"""How `kelp node` shows its reports: once or again and again, as text or as JSON.

On a terminal a watched report takes the screen's place; in a pipe each follows the one before, with
an empty line between. What a report lacks is told on standard error, so that it is in nobody's way.
"""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar, cast

import click

from kelp.cli.node_source import Elsewhere, NotNowError, Source, ThisMachine, machine
from kelp.cli.options import FOLDER, server_options
from kelp.node.host.looks import MAX_INTERVAL_S
from kelp.node.host.question import Question
from kelp.node.host.report import Report, json_line
from kelp.node.host.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])

WATCH_S = 2.0

Style = Literal["screen", "blocks", "lines"]
Lines = Callable[[Any], Iterator[str]]

_CLEAR = "\x1b[H\x1b[2J"


class View:
    """The options that all subcommands share."""

    def __init__(
        self, source: Source, output: str, watch_s: float | None, count: int | None
    ) -> None:
        self._source = source
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

    def show(self, question: Question, lines: Lines, *, style: Style = "screen") -> None:
        """Show reports as the options say.

        `style`: whether reports take a terminal's screen in turn, follow each other as blocks, or
        line by line.
        """
        for number, report in enumerate(self._reports(question)):
            if self._json:
                click.echo(json_line(report))
            elif self.height is not None and style == "screen":
                self._redraw(report, lines)
            else:
                if number and style != "lines":
                    click.echo()
                self._follow(report, lines)
            sys.stdout.flush()

    def _reports(self, question: Question) -> Iterator[Report]:
        looks = self._source.looks(question)
        yield looks.first(self._watch_s)
        number = 1
        while self._watch_s is not None and number != self._count:
            number += 1
            try:
                yield looks.next(self._watch_s)
            except NotNowError as e:
                # Whoever watches wants to see it come back.
                self._note(str(e))

    def _redraw(self, report: Report, lines: Lines) -> None:
        notes = [f"note: {n}"[: self.width] for n in report.notes]
        room = max((self.height or 0) - 1 - len(notes), 1)
        click.echo(_CLEAR + "\n".join([*list(lines(report))[:room], *notes]))

    def _follow(self, report: Report, lines: Lines) -> None:
        for line in lines(report):
            click.echo(line)
        for note in report.notes:
            self._note(note)

    def _note(self, text: str) -> None:
        """Tell it once."""
        if text not in self._told:
            self._told.add(text)
            click.echo(f"kelp: note: {text}", err=True)


def view_options(function: F) -> F:
    """The shared options; the command gets a `view`."""

    @functools.wraps(function)
    def with_view(
        *args: Any,
        output: str,
        watch_s: float | None,
        count: int | None,
        **rest: Any,
    ) -> Any:
        if count is not None and watch_s is None:
            watch_s = WATCH_S
        view = View(_source(rest), output, watch_s, count)
        return function(*args, view=view, **rest)

    decorated: Any = server_options(cast(F, with_view))
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast(F, decorated)


def _source(options: dict[str, Any]) -> Source:
    """Which node the options mean; takes theirs out."""
    node = one_node(options.pop("node_argument"), options.pop("node_option"))
    roots = {flag: options.pop(name) for flag, name in _ROOTS.items()}
    server = [options.pop(name) for name in ("url", "token_file", "ca_file")]
    if not node:
        if any(server):
            raise click.UsageError("expected NODE: without it this machine is shown, by no server")
        return ThisMachine(machine(*roots.values()))
    for flag, path in roots.items():
        if path is not None:
            raise click.UsageError(f"{flag} is of this machine; the agent of {node} has its own")
    # The HTTP client, which takes a while to load.
    from kelp.cli.client import Client, find_connection  # noqa: PLC0415

    return Elsewhere(Client(find_connection(*server)), node)


def one_node(argument: str | None, option: str) -> str:
    """The node named as argument or as --node; empty: this machine."""
    if argument and option and argument != option:
        raise click.UsageError(f"expected one node; got {argument} and --node {option}")
    return argument or option


_ROOTS = {"--proc": "proc", "--sys": "sys_", "--pods-dir": "pods_dir"}


def node_options(function: F) -> F:
    """NODE and --node, as `node_argument` and `node_option`: see one_node."""
    option = click.option(
        "--node",
        "node_option",
        default="",
        help="The node: its agent is asked through the server. Default: this machine.",
    )
    return click.argument("node_argument", metavar="[NODE]", required=False)(option(function))


_OPTIONS = (
    node_options,
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
        help=f"Look again and again, every SECONDS ({WATCH_S:g} if not given). Of another node "
        f"rates are of {MAX_INTERVAL_S:g} seconds at the most.",
    ),
    click.option(
        "--count", type=click.IntRange(min=1), help="Stop after so many looks. Implies --watch."
    ),
    click.option("--proc", type=FOLDER, help="The node's proc. Default: /proc."),
    click.option("--sys", "sys_", type=FOLDER, help="The node's sys. Default: /sys."),
    click.option(
        "--pods-dir",
        type=FOLDER,
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
