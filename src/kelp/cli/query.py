"""`kelp query`: any LogQL query, at one time or over a range, as logcli runs it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from typing import Any

import click

from kelp.base.clock import SystemClock
from kelp.cli.client import Client, Connection, Params
from kelp.cli.options import client_options
from kelp.cli.query_explain import explain_lines
from kelp.cli.query_print import default_lines, json_lines, raw_lines
from kelp.cli.terminal import harmless
from kelp.cli.times import duration_ns, moment_ns

DEFAULT_SINCE = "1h"


@click.command("query")
@click.argument("query")
@click.option("--instant", is_flag=True, help="The value at one time (--to) instead of a range.")
@click.option("-s", "--since", help=f"So long before --to.  [default: {DEFAULT_SINCE}]")
@click.option("--from", "start", help="Begin here: RFC 3339, local time, or so long ago.")
@click.option("--to", "end", default="now", show_default=True, help="End here.")
@click.option("--step", help="Distance of values: 30s, 5m.  [default: a 250th of the range]")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True,
              help="Entries of a log query.")  # fmt: skip
@click.option("--forward", is_flag=True, help="The oldest entries of the range, not the newest.")
@click.option("-o", "--output", type=click.Choice(["default", "raw", "json", "jsonl"]),
              default="default", show_default=True, help="json: the server's answer.")  # fmt: skip
@click.option(
    "--fields",
    is_flag=True,
    help="Of a log query: what each line holds, by its format, among its labels.",
)
@click.option("-q", "--quiet", is_flag=True, help="No warnings and no note of the limit.")
@click.option("--explain", is_flag=True,
              help="Show the plan, the SQL and what it would read; run nothing.")  # fmt: skip
@client_options
def command(
    connection: Connection,
    query: str,
    instant: bool,
    output: str,
    quiet: bool,
    explain: bool,
    **ranging: Any,
) -> None:
    """Run a LogQL QUERY over the last hour, or as the flags say.

    \b
      kelp query 'sum by (pod) (rate({namespace="payments"}[1m]))' --since 2h
      kelp query '{app="web"} |= "timeout" | json | status >= 500' --limit 20
      kelp query --instant 'topk(5, sum by (pod) (count_over_time({pod=~".+"}[1h])))'

    Numbers over a range are plotted; as JSON (-o jsonl) they are one object a value.
    """
    now_ns = SystemClock().now_ns()
    path, params = request(query, now_ns, instant=instant, **ranging)
    if explain:
        _explain(Client(connection).get(path, {**params, "explain": "true"}), output)
        return
    answer = Client(connection).get(path, params)
    data = answer["data"]
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif output == "default":
        columns = shutil.get_terminal_size((100, 24)).columns
        _print(default_lines(data, columns, now_ns))
    else:
        _print(raw_lines(data) if output == "raw" else json_lines(data))
    if not quiet:
        _notes(answer, ranging["limit"])


def _explain(answer: dict[str, Any], output: str) -> None:
    if output in ("json", "jsonl"):
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print(explain_lines(answer))


def request(  # noqa: PLR0913 - one argument for each flag
    query: str,
    now_ns: int,
    *,
    instant: bool,
    since: str | None,
    start: str | None,
    end: str,
    step: str | None,
    limit: int,
    forward: bool,
    fields: bool = False,
) -> tuple[str, Params]:
    """The path and the parameters of the request; raises KelpError, click.UsageError."""
    end_ns = moment_ns(end, now_ns)
    if fields:
        query = _with_fields(query)
    params: dict[str, str | int | list[str]] = {"query": query, "limit": limit}
    params["direction"] = "forward" if forward else "backward"
    if instant:
        if since or start or step:
            raise click.UsageError(
                "--instant has one time, --to: leave out --since, --from and --step"
            )
        return "/loki/api/v1/query", {**params, "time": end_ns}
    if since and start:
        raise click.UsageError("expected one of --since and --from; got both")
    begin = moment_ns(start, now_ns) if start else end_ns - duration_ns(since or DEFAULT_SINCE)
    if begin >= end_ns:
        raise click.UsageError("expected --from to lie before --to")
    params |= {"start": begin, "end": end_ns}
    if step:
        params["step"] = f"{duration_ns(step) / 1e9:g}"
    return "/loki/api/v1/query_range", params


def _with_fields(query: str) -> str:
    if not query.lstrip().startswith("{"):
        raise click.UsageError("--fields is for log queries: they begin with a {selector}")
    return f"{query}\n| fields"  # on a line of its own, for a query may end in a comment


def _print(lines: Iterable[str]) -> None:
    to_terminal = sys.stdout.isatty()
    for line in lines:
        click.echo(harmless(line.encode()) if to_terminal else line)


def _notes(answer: dict[str, Any], limit: int) -> None:
    warnings = answer.get("warnings") or []
    for warning in warnings:
        click.echo(f"kelp: warning: {warning}", err=True)
    data = answer["data"]
    if not data["result"]:
        click.echo(f"kelp: nothing fits{' of what was read' if warnings else ''}", err=True)
    elif data["resultType"] == "streams":
        count = sum(len(s["values"]) for s in data["result"])
        if count >= limit:
            click.echo(f"kelp: {count} entries, the limit; --limit gives more", err=True)
