"""`kelp sql`: a SELECT over the read-only views of the store."""

from __future__ import annotations

import sys

import click
import msgspec

from kelp.base.errors import KelpError
from kelp.cli.client import Client, Connection
from kelp.cli.options import client_options
from kelp.cli.table import table


@click.command("sql")
@click.argument("query")
@click.option("-o", "--output", type=click.Choice(["table", "json", "csv"]), default="table",
              show_default=True)  # fmt: skip
@client_options
def command(connection: Connection, query: str, output: str) -> None:
    """Run a read-only SQL QUERY (ClickHouse's dialect); - reads it from standard input.

    \b
      kelp sql 'select namespace, count() as lines from logs group by namespace'
    """
    text = sys.stdin.read() if query == "-" else query
    if not text.strip():
        raise KelpError("expected a SELECT; got nothing")
    wanted = "csv" if output == "csv" else "json"
    answer = Client(connection).post("/kelp/v1/sql", {"query": text}, {"format": wanted})
    if output == "table":
        found = msgspec.json.decode(answer)
        for line in table([c["name"] for c in found["columns"]], found["rows"]):
            click.echo(line)
        return
    click.echo(answer, nl=not answer.endswith(b"\n"))
