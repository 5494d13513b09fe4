"""`kelp series`: which streams there are."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from kelp.cli.client import Client, Connection
from kelp.cli.labels import range_params
from kelp.cli.options import client_options, time_range
from kelp.cli.query_print import labels_text


@click.command("series")
@click.argument("selectors", nargs=-1)
@click.option("-o", "--output", type=click.Choice(["default", "jsonl"]), default="default",
              show_default=True)  # fmt: skip
@time_range
@client_options
def command(
    connection: Connection, selectors: Sequence[str], output: str, start: str | None, end: str
) -> None:
    """List streams that fit any of SELECTORS (default: all); by default of all time.

    \b
      kelp series '{namespace="payments", container="app"}'
    """
    params = {**range_params(start, end), "match[]": list(selectors)}
    answer = Client(connection).get("/loki/api/v1/series", params)
    for labels in answer.get("data") or []:
        click.echo(json.dumps(labels) if output == "jsonl" else labels_text(labels))
