"""`kelp agent`: collect this node's logs and ship them to a server."""

from __future__ import annotations

import os
from pathlib import Path

import click

from kelp.agent.memory import stay_small
from kelp.base.config import load_settings
from kelp.base.settings import Settings
from kelp.base.telemetry import set_up_logging
from kelp.cli.answers import answers, roots_of
from kelp.cli.options import FOLDER, config_option
from kelp.node.host.metrics import NodeCollector


@click.command("agent")
@config_option
@click.option("--data-dir", type=FOLDER, help="Where the agent keeps its spool.")
@click.option("--pods-dir", type=FOLDER, help="Root of the log files. Default: /var/log/pods.")
@click.option("--url", help="The Kelp server. Default: http://127.0.0.1:3170.")
@click.option("--node", help="This node's name. Default: the host's.")
@click.option("--listen", help="host:port of /metrics and /readyz. Default: 127.0.0.1:3171.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
def command(config_file: Path | None, **flags: object) -> None:
    """Collect this node's logs and ship them to a Kelp server.

    What was read is durable before it counts as read: the agent may be killed at any moment, and
    the server may be away, without a line lost or sent twice. SIGTERM stops it within five seconds,
    SIGHUP (or POST /-/reload) lets it read its settings again.
    """
    overrides = {KEYS[name]: _plain(value) for name, value in flags.items()}

    def load() -> Settings:
        return load_settings(config_file, os.environ, overrides)

    settings = load()
    set_up_logging(settings.log_level)
    stay_small()
    from kelp.agent.main import run_agent  # noqa: PLC0415 - Arrow, after stay_small

    collectors = [NodeCollector(roots_of(settings))] if settings.agent.node_metrics else []
    run_agent(settings, load, collectors, answers())


# Option → key of the settings.
KEYS = {
    "data_dir": "data_dir",
    "pods_dir": "agent.pods_dir",
    "url": "agent.ship.url",
    "node": "agent.node",
    "listen": "agent.listen",
    "log_level": "log_level",
}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
