"""`kelp node list`: the nodes that can be asked, and when each was last heard of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from kelp.cli.node_source import PATH
from kelp.cli.options import client_options
from kelp.node.host.show.table import aligned

if TYPE_CHECKING:
    from kelp.cli.client import Connection

_COLUMNS = ("NODE", "AGENT", "STATE", "LAST SEEN")


@click.command("list")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Text for people, or one JSON object a node.",
)
@client_options
def list_command(connection: Connection, output: str) -> None:
    """List the nodes whose agents can be asked, and when each was last heard of."""
    from kelp.cli.client import Client  # noqa: PLC0415 - takes a while to load

    nodes: list[dict[str, Any]] = Client(connection).get(PATH)["nodes"]
    if output == "json":
        for node in nodes:
            click.echo(json.dumps(node, ensure_ascii=False))
        return
    if not nodes:
        click.echo("kelp: note: no agent has asked this server for questions (yet)", err=True)
    for line in aligned(_COLUMNS, map(_row, nodes)):
        click.echo(line)


def _row(node: dict[str, Any]) -> tuple[object, ...]:
    state = "connected" if node["connected"] else "away"
    return (node["node"], node["version"], state, node["last_seen"])
