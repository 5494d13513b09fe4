"""`kelp node logs`: a node's own logs through the API server, where nothing of Kelp runs.

What is asked for stands here; how it is read and shown in `node_logs_show`, which needs the
Kubernetes client and is imported when it is used.
"""

from __future__ import annotations

from pathlib import Path

import click

from kelp.base.clock import SystemClock
from kelp.cli.options import FILE
from kelp.cli.times import moment_ns


@click.command("logs")
@click.argument("node", metavar="NODE")
@click.argument("path", default="")
@click.option("-u", "--unit", "units", multiple=True, help="A service: kubelet. Up to four times.")
@click.option("--since", default="", help="From this time on, or from so long ago: 1h.")
@click.option("--until", default="", help="Up to this time, or until so long ago.")
@click.option("--tail", type=click.IntRange(0, 100_000), help="The last lines only.")
@click.option("-g", "--pattern", default="", help="Only what a regular expression is found in.")
@click.option(
    "-b", "--boot", type=click.IntRange(max=0), help="Of this boot: 0 the present one, -1 before."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written; ten lines first.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="As the node has it, or one JSON object a record.",
)
@click.option("--kubeconfig", type=FILE, help="Default: $KUBECONFIG, else ~/.kube/config.")
@click.option("--context", default="", help="Context of the kubeconfig. Default: the current one.")
def logs(since: str, until: str, kubeconfig: Path | None, context: str, **rest: object) -> None:
    """Show a node's own logs through the Kubernetes API server.

    With -u those of services, out of the node's journal: `kelp node logs worker-1 -u kubelet
    --since 1h`. With a PATH a file, or the names in a folder, below /var/log: `kelp node logs
    worker-1 /var/log/syslog --tail 100`. Nothing of Kelp has to run for it; it takes the right to
    get nodes/proxy, and for -u a kubelet that takes queries (enableSystemLogQuery).
    """
    # The Kubernetes client, and Arrow for severities: no other command needs both.
    from kelp.cli.node_logs_show import Wanted, show  # noqa: PLC0415

    now_ns = SystemClock().now_ns()
    wanted = Wanted(
        since_ns=moment_ns(since, now_ns) if since else None,
        until_ns=moment_ns(until, now_ns) if until else None,
        **rest,  # type: ignore[arg-type] # click has checked their types
    )
    show(wanted, str(kubeconfig or ""), context)
