"""`kelp logs`: kubectl logs and stern over what is stored, and over what comes.

This file turns flags into a plan; what is meant is said in kelp.cli.logs_select, what there is in
kelp.cli.logs_find, reading in kelp.cli.logs_read and looks in kelp.cli.logs_print.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import click

from kelp.base.clock import SystemClock
from kelp.base.errors import KelpError
from kelp.cli.client import Client, Connection
from kelp.cli.logs_find import Finder, previous_runs, run_of
from kelp.cli.logs_items import ContainerKey, Item
from kelp.cli.logs_print import DefaultPrinter, JsonPrinter, Look, Printer, RawPrinter
from kelp.cli.logs_read import LogReader, Plan
from kelp.cli.logs_select import (
    Matcher,
    check_pattern,
    line_filters,
    parse_label_selector,
    parse_target,
    selector,
)
from kelp.cli.options import client_options
from kelp.cli.times import duration_ns, moment_ns

# What is shown where nothing says how much: stored logs may be months long.
DEFAULT_LIMIT = 1000


@dataclass(frozen=True)
class Wanted:
    """The flags of `kelp logs` that say which lines are wanted."""

    target: str | None
    container: str | None
    namespace: str | None
    labels: str | None
    include: Sequence[str]
    exclude: Sequence[str]
    previous: bool
    follow: bool
    since: str | None
    since_time: str | None
    until: str | None
    tail: int | None
    limit: int | None
    fields: bool = False

    @property
    def is_logql(self) -> bool:
        """Whether the target is a query rather than a name."""
        return (self.target or "").lstrip().startswith("{")


@click.command("logs")
@click.argument("target", required=False)
@click.argument("container_name", metavar="[CONTAINER]", required=False)
@click.option("-n", "--namespace", help="Only of this namespace. Default: of all.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces (the default).")
@click.option("-c", "--container", help="Container name, or a pattern that fits the whole name.")
@click.option("-l", "--selector", "labels", help="Labels as in kubectl: app=web,tier!=db.")
@click.option("-p", "--previous", is_flag=True, help="The run before each container's newest.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they come.")
@click.option("-s", "--since", help="Lines of so long ago until now: 10m, 1h30m, 7d.")
@click.option("--since-time", help="Lines from this time on: RFC 3339, or local 10:11.")
@click.option("--until", help="Lines up to this time, or up to so long ago.")
@click.option("--tail", type=int, metavar="N", help="The newest N lines per container; -1: all.")
@click.option("--limit", type=int, metavar="N",
              help="The newest N lines of all together; 0: no limit.  [default: "
              f"{DEFAULT_LIMIT} without --since, --since-time, --until and --tail]")  # fmt: skip
@click.option("-i", "--include", multiple=True, help="Lines that fit this pattern (RE2).")
@click.option("-e", "--exclude", multiple=True, help="No lines that fit this pattern (RE2).")
@click.option("-t", "--timestamps", is_flag=True, help="Each line's time before it.")
@click.option("-o", "--output", type=click.Choice(["default", "raw", "json", "jsonl"]),
              default="default", show_default=True)  # fmt: skip
@click.option(
    "--fields",
    is_flag=True,
    help="With -o json or jsonl: what each line holds, by its format, under `parsed`.",
)
@click.option("--color", "colour", type=click.Choice(["auto", "always", "never"]), default="auto",
              show_default=True, help="auto: on a terminal, unless $NO_COLOR is set.")  # fmt: skip
@client_options
def command(
    connection: Connection,
    container_name: str | None,
    timestamps: bool,
    output: str,
    colour: str,
    **selecting: Any,
) -> None:
    """Show logs of TARGET: a pod, a pattern of pod names, a workload, or a LogQL query.

    \b
      kelp logs -n payments web-0 -c app --previous
      kelp logs deployment/checkout-api -f --tail 10
      kelp logs -l app=web -i 'timeout|refused' --since 1h
      kelp logs '{namespace="payments"} |= "trace_id"' -o jsonl

    A name that is no pod's is a pattern (RE2) that may fit anywhere in a pod's name. In a LogQL
    query the selecting flags have no place.
    """
    wanted = _wanted(container_name, **selecting)
    _check(wanted)
    if wanted.fields and output not in ("json", "jsonl"):
        raise click.UsageError(f"expected -o json or jsonl with --fields; got -o {output}")
    look = _look(colour, timestamps, sys.stdout.isatty(), wanted.namespace is None)
    show(wanted, Client(connection), _printer(output, look, sys.stdout.buffer))


def _wanted(container_name: str | None, *, all_namespaces: bool, **flags: Any) -> Wanted:
    """The flags as one value; `kubectl logs POD CONTAINER` names the container as -c does."""
    if flags["container"] and container_name:
        named = f"{container_name}, -c {flags['container']}"
        raise click.UsageError(f"the container is named twice: {named}")
    if flags["namespace"] and all_namespaces:
        raise click.UsageError("expected one of -n and -A; got both")
    return Wanted(**{**flags, "container": flags["container"] or container_name})


def _check(wanted: Wanted) -> None:
    if wanted.follow and wanted.until:
        raise click.UsageError("expected one of --follow and --until; got both")
    if wanted.follow and wanted.previous:
        raise click.UsageError("--previous shows runs that have ended: leave out --follow")
    if wanted.since and wanted.since_time:
        raise click.UsageError("expected one of --since and --since-time; got both")
    if wanted.tail is not None and wanted.limit is not None:
        raise click.UsageError("expected one of --tail and --limit; got both")
    if (wanted.limit or 0) < 0 or (wanted.tail or 0) < -1:
        raise click.UsageError("expected a number of lines; got a negative one")
    selecting = (wanted.namespace, wanted.container, wanted.labels, wanted.previous)
    if wanted.is_logql and any(selecting):
        raise click.UsageError(
            "-n, -c, -l and --previous have no place beside a LogQL query: "
            "say it in the query's {selector}"
        )


def show(wanted: Wanted, client: Client, printer: Printer) -> None:
    """Print what is wanted; raises KelpError."""
    finder, clock = Finder(client), SystemClock()
    reader = LogReader(client, clock, _tell)
    matchers = [] if wanted.is_logql else _matchers(wanted, finder)
    plan = make_plan(wanted, matchers, finder, clock.now_ns())
    if wanted.follow and not wanted.is_logql and not finder.runs(matchers):
        _tell(f"{_nothing_found(wanted, finder)}; waiting for them")
    found = reader.past_and_future(plan) if wanted.follow else reader.past(plan)
    count = _print(found, printer, at_once=wanted.follow)
    for warning in reader.warnings:
        _tell(f"warning: {warning}")
    if count == 0:
        _explain_nothing(wanted, matchers, finder)
    elif count >= DEFAULT_LIMIT and _takes_default_limit(wanted):
        _tell(f"the newest {count} lines; for more: --since 1h, --limit 10000, or --tail -1 (all)")


def _print(found: Iterator[Item], printer: Printer, *, at_once: bool) -> int:
    count = 0
    for item in found:
        printer.item(item)
        count += 1
        if at_once:
            printer.flush()
    printer.close()
    return count


def make_plan(wanted: Wanted, matchers: Sequence[Matcher], finder: Finder, now_ns: int) -> Plan:
    """What to read, from what was wanted and what there is; raises KelpError."""
    start_ns, end_ns = _range(wanted, now_ns)
    filters = line_filters(
        _patterns("--include", wanted.include), _patterns("--exclude", wanted.exclude)
    )
    filters += "\n| fields" if wanted.fields else ""
    newest = DEFAULT_LIMIT if _takes_default_limit(wanted) else wanted.limit or None
    tail = None if wanted.tail == -1 else wanted.tail
    if wanted.is_logql:
        return Plan(f"{wanted.target}{filters}", start_ns, end_ns, newest if tail is None else tail)
    plan = Plan(selector(matchers) + filters, start_ns, end_ns, newest)
    if wanted.previous:
        return _of_previous_runs(plan, tail, wanted, matchers, finder, filters)
    if tail is None:
        return plan
    keys = {run.container_key for run in finder.runs(matchers)}
    tails = [(key, selector(_of_container(matchers, key)) + filters) for key in sorted(keys)]
    return replace(plan, tails=tails, tail=tail)


def _of_previous_runs(
    plan: Plan,
    tail: int | None,
    wanted: Wanted,
    matchers: Sequence[Matcher],
    finder: Finder,
    filters: str,
) -> Plan:
    all_runs = finder.runs(matchers)
    if not all_runs:
        raise KelpError(_nothing_found(wanted, finder))
    runs = previous_runs(all_runs)
    if not runs:
        raise KelpError("no earlier run of the containers that fit is stored")
    bound = plan.newest if tail is None else tail
    if bound is not None:
        tails = [(run.container_key, selector(run.matchers()) + filters) for run in runs]
        return replace(plan, tails=tails, tail=bound)
    restarts = "|".join(sorted({str(run.restart) for run in runs}))
    of_runs = [*matchers, Matcher("restart", "=~", restarts)]
    chosen = set(runs)
    return replace(
        plan,
        query=selector(of_runs) + filters,
        keep=lambda item: run_of(item.labels) in chosen,
    )


def _takes_default_limit(wanted: Wanted) -> bool:
    bounds = (wanted.since, wanted.since_time, wanted.until, wanted.tail, wanted.limit)
    return all(b is None for b in bounds) and not wanted.previous


def _range(wanted: Wanted, now_ns: int) -> tuple[int | None, int | None]:
    start_ns = now_ns - duration_ns(wanted.since) if wanted.since else None
    if wanted.since_time:
        start_ns = moment_ns(wanted.since_time, now_ns)
    return start_ns, moment_ns(wanted.until, now_ns) if wanted.until else None


def _patterns(option: str, patterns: Sequence[str]) -> Sequence[str]:
    for pattern in patterns:
        check_pattern(option, pattern)
    return patterns


def _matchers(wanted: Wanted, finder: Finder) -> list[Matcher]:
    matchers = parse_label_selector(wanted.labels or "")
    if wanted.namespace:
        matchers.insert(0, Matcher("namespace", "=", wanted.namespace))
    if wanted.target:
        matchers.append(finder.pod_matcher(parse_target(wanted.target), matchers))
    if wanted.container:
        check_pattern("--container", wanted.container)
        plain = wanted.container.replace("-", "").isalnum()
        matchers.append(Matcher("container", "=" if plain else "=~", wanted.container))
    return matchers


def _of_container(matchers: Sequence[Matcher], key: ContainerKey) -> list[Matcher]:
    exact = dict(zip(("namespace", "pod", "pod_uid", "container"), key, strict=True))
    others = [m for m in matchers if m.label not in exact]
    return [*(Matcher(label, "=", value) for label, value in exact.items()), *others]


def _explain_nothing(wanted: Wanted, matchers: Sequence[Matcher], finder: Finder) -> None:
    """Say why nothing was shown; raises KelpError where a name is not known."""
    if wanted.is_logql or not (wanted.target or wanted.namespace):
        _tell("no lines fit")
    elif finder.runs(matchers):
        _tell("no lines fit; there are logs of these pods at other times or with other text")
    else:
        raise KelpError(_nothing_found(wanted, finder))


def _nothing_found(wanted: Wanted, finder: Finder) -> str:
    target = parse_target(wanted.target) if wanted.target else None
    return finder.nothing_found(target, wanted.namespace or "")


def _look(colour: str, timestamps: bool, is_terminal: bool, namespace: bool) -> Look:
    auto = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    painted = auto if colour == "auto" else colour == "always"
    return Look(painted, namespace, timestamps, is_terminal)


def _printer(output: str, look: Look, out: BinaryIO) -> Printer:
    now_ns: Callable[[], int] = SystemClock().now_ns
    if output == "raw":
        return RawPrinter(out, _tell, look, now_ns)
    if output == "default":
        return DefaultPrinter(out, look, now_ns)
    return JsonPrinter(out, array=output == "json")


def _tell(text: str) -> None:
    click.echo(f"kelp: {text}", err=True)
