"""`kelp problems`: what is broken, by node, workload and reason, from what is stored.

The agents have marked the records (kelp.base.problems); here they are counted. Pods of one workload
are one row: which of them it was stands in the wide table and in JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click
import msgspec

from kelp.agent.enrich.workload import workload_of
from kelp.base.clock import SystemClock
from kelp.cli.client import Connection
from kelp.cli.options import client_options
from kelp.cli.stored import Stored, literal, time_literal
from kelp.cli.table import table
from kelp.cli.times import duration_ns, format_clock, format_utc_ns
from kelp.model.severity import level_of
from kelp.server.http.times import parse_time

# Groups that a server is asked for: a pod, a container and a reason each.
_MAX_GROUPS = 20_000
_EXAMPLE_CHARS = 400
_SHOWN_CHARS = 100
# Of a kernel's report the line that says whom it killed, the whole where there is none; of Python's
# trace the last line.
_KILLED_LINE = (
    r"if(match(l.body, 'illed process '), extract(l.body, '[^\n]*illed process [^\n]*'), l.body)"
)
_TELLING_LINE = (
    r"if(startsWith(l.body, 'Traceback '), splitByChar('\n', trimRight(l.body))[-1], l.body)"
)
_PODS_NAMED = 3

# What a rule caught that says which one it was; the first that a record has.
_DETAILS = (
    "resource", "probe", "device", "interface", "volume", "image", "name", "host", "address",
    "path", "unit", "process", "profile", "server", "cause", "kind",
)  # fmt: skip


class Problem(msgspec.Struct, kw_only=True):
    """One row: times are RFC 3339 in UTC; names are empty where the record has none."""

    node: str
    namespace: str
    workload: str
    reason: str
    severity: str
    count: int
    first: str
    last: str
    pods: list[str]
    containers: list[str]
    details: list[str]
    example: str


class _Row(msgspec.Struct):
    """A group as the server counts it."""

    node: str
    namespace: str
    app: str
    pod: str
    container: str
    reason: str
    detail: str
    severity: int
    count: int
    first_ns: int
    last_ns: int
    example: str


@click.command("problems")
@click.option("--since", default="1d", show_default=True, help="So far back: 30m, 12h, 7d.")
@click.option("--node", default="", help="Of this node only.")
@click.option("-n", "--namespace", default="", help="Of this namespace only.")
@click.option("--reason", default="", help="Of this reason only: CrashLoopBackOff, IOError …")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json"]),
    default="table",
    show_default=True,
    help="wide: with pods, containers and what it was about; json: an object a line.",
)
@client_options
def problems(
    connection: Connection, since: str, node: str, namespace: str, reason: str, output: str
) -> None:
    """List what is broken, by node, workload and reason.

    From the kernel (disks, file systems, memory, network, denials, oops), the node's services
    (evictions, images, probes, mounts, certificates) and containers (missing variables and modules,
    refused connections, names that are not found, denied permissions). `kelp oom` has the kills in
    full.

    \b
      kelp problems --since 2h
      kelp problems -n shop --reason ConnectionRefused -o wide
    """
    now_ns = SystemClock().now_ns()
    wanted = {"node": node, "namespace": namespace, "reason": reason}
    rows = Stored(connection).rows(_question(now_ns - duration_ns(since), wanted))
    found = _by_workload([msgspec.convert(row, _Row) for row in rows[:_MAX_GROUPS]])
    if output == "json":
        for problem in found:
            click.echo(msgspec.json.encode(problem))
    elif found:
        for line in _lines(found, now_ns, wide=output == "wide"):
            click.echo(line)
    else:
        click.echo(f"No problem was told of in the last {since}.")
    if len(rows) > _MAX_GROUPS:
        click.echo(
            f"kelp: warning: only the {_MAX_GROUPS:,} most frequent were counted; narrow it with "
            "--since, --node, --namespace or --reason",
            err=True,
        )


def _question(start_ns: int, wanted: dict[str, str]) -> str:
    """The SELECT; what is empty in `wanted` is not asked for."""
    a = "attributes"
    details = ", ".join(f"{a}['problem_{name}']" for name in _DETAILS)
    conditions = [f"{name} = {literal(value)}" for name, value in wanted.items() if value]
    having = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    # A kill's record is the kernel's, a kubelet's line the node's: whom they speak of goes first.
    return f"""
        SELECT node, namespace, app, pod, container, reason, detail,
            max(number) AS severity, count() AS count,
            toUnixTimestamp64Nano(min(at)) AS first_ns,
            toUnixTimestamp64Nano(max(at)) AS last_ns,
            argMax(line, at) AS example
        FROM (
            SELECT l.node AS node, l.timestamp AS at, l.severity_number AS number,
                if({a}['oom_pid'] = '', {_TELLING_LINE}, {_KILLED_LINE}) AS telling,
                substring(telling, 1, {_EXAMPLE_CHARS}) AS line,
                {a}['problem'] AS reason,
                {_first(f"{a}['oom_namespace']", f"{a}['problem_namespace']", "l.namespace")}
                    AS namespace,
                {_first(f"{a}['oom_pod']", f"{a}['problem_pod']", "l.pod")} AS pod,
                if(pod = l.pod, l.app, '') AS app,
                {_first(f"{a}['oom_container']", f"{a}['problem_container']", "l.container")}
                    AS container,
                arrayFirst(x -> x != '', [{details}, {a}['oom_process'], '']) AS detail
            FROM logs AS l
            WHERE {a}['problem'] != '' AND l.timestamp >= {time_literal(start_ns)}
        )
        {having}
        GROUP BY node, namespace, app, pod, container, reason, detail
        ORDER BY count DESC LIMIT {_MAX_GROUPS + 1}"""


def _first(*values: str) -> str:
    """SQL: the first that is not empty."""
    *others, last = values
    tried = "".join(f"{value} != '', {value}, " for value in others)
    return f"multiIf({tried}{last})"


def _by_workload(rows: Iterable[_Row]) -> list[Problem]:
    """Groups of one workload as one, the gravest and most frequent first."""
    groups: dict[tuple[str, str, str, str], list[_Row]] = {}
    for row in rows:
        workload = row.app or (workload_of(row.pod, row.node) if row.pod else "")
        groups.setdefault((row.node, row.namespace, workload, row.reason), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: _weight(item[1]), reverse=True)
    return [_problem(key, group) for key, group in ordered]


def _weight(rows: Sequence[_Row]) -> tuple[int, int, int]:
    return (
        max(row.severity for row in rows),
        sum(row.count for row in rows),
        max(row.last_ns for row in rows),
    )


def _problem(key: tuple[str, str, str, str], rows: Sequence[_Row]) -> Problem:
    node, namespace, workload, reason = key
    newest = max(rows, key=lambda row: row.last_ns)
    return Problem(
        node=node,
        namespace=namespace,
        workload=workload,
        reason=reason,
        severity=level_of(max(row.severity for row in rows)),
        count=sum(row.count for row in rows),
        first=format_utc_ns(min(row.first_ns for row in rows)),
        last=format_utc_ns(newest.last_ns),
        pods=_distinct(row.pod for row in rows),
        containers=_distinct(row.container for row in rows),
        details=_distinct(row.detail for row in rows),
        example=newest.example,
    )


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted({value for value in values if value})


def _lines(found: Sequence[Problem], now_ns: int, *, wide: bool) -> Iterator[str]:
    heads = ["NODE", "NAMESPACE", "WORKLOAD", "REASON", "SEVERITY", "COUNT", "FIRST", "LAST"]
    more = ["PODS", "CONTAINERS", "ABOUT"] if wide else []
    return table([*heads, *more, "EXAMPLE"], [_cells(p, now_ns, wide=wide) for p in found])


def _cells(problem: Problem, now_ns: int, *, wide: bool) -> list[Any]:
    names = (problem.node, problem.namespace, problem.workload, problem.reason, problem.severity)
    lists = (problem.pods, problem.containers, problem.details) if wide else ()
    example = problem.example.split("\n", 1)[0]
    return [
        *(name or "-" for name in names),
        problem.count,
        _clock(problem.first, now_ns),
        _clock(problem.last, now_ns),
        *(_listed(values) for values in lists),
        example if wide or len(example) <= _SHOWN_CHARS else example[: _SHOWN_CHARS - 1] + "…",
    ]


def _clock(utc: str, now_ns: int) -> str:
    return format_clock(parse_time(utc), now_ns)


def _listed(values: Sequence[str]) -> str:
    """A few of them, and how many more there are."""
    shown = ",".join(values[:_PODS_NAMED]) or "-"
    return shown if len(values) <= _PODS_NAMED else f"{shown} +{len(values) - _PODS_NAMED}"
