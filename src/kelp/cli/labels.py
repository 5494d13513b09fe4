"""`kelp labels`: what can be asked for."""

from __future__ import annotations

from urllib.parse import quote

import click

from kelp.base.clock import SystemClock
from kelp.cli.client import Client, Connection, Params
from kelp.cli.options import client_options, time_range
from kelp.cli.times import moment_ns


@click.command("labels")
@click.argument("name", required=False)
@click.option("--match", "selector", help="Only of streams that fit this LogQL selector.")
@time_range
@client_options
def command(
    connection: Connection, name: str | None, selector: str | None, start: str | None, end: str
) -> None:
    """List label names, or the values of the label NAME; by default of all time.

    \b
      kelp labels
      kelp labels pod --match '{namespace="payments"}'
    """
    path = f"/loki/api/v1/label/{quote(name, safe='')}/values" if name else "/loki/api/v1/labels"
    params = range_params(start, end)
    answer = Client(connection).get(path, {**params, "query": selector} if selector else params)
    for text in answer.get("data") or []:
        click.echo(text)


def range_params(start: str | None, end: str) -> Params:
    """`start` and `end` in nanoseconds; from the beginning where no start is given."""
    now_ns = SystemClock().now_ns()
    begin = moment_ns(start, now_ns) if start else 0
    return {"start": begin, "end": moment_ns(end, now_ns)}
