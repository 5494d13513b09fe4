"""`kelp server`: receive, store, answer."""

from __future__ import annotations

import os
from pathlib import Path

import click

from kelp.base.config import load_settings
from kelp.base.settings import Settings
from kelp.base.telemetry import set_up_logging
from kelp.cli.options import FOLDER, config_option


@click.command("server")
@config_option
@click.option("--data-dir", type=FOLDER, help="Where the store, the inbox and the token are kept.")
@click.option("--listen", help="host:port. Port 0: any that is free. Default: 127.0.0.1:3170.")
@click.option(
    "--insecure-listen",
    is_flag=True,
    default=None,
    help="Listen on a non-loopback address without TLS (behind a proxy that ends TLS).",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
def command(config_file: Path | None, **flags: object) -> None:
    """Run the server: it receives what agents collect, stores it, and answers queries.

    What was acknowledged is durable. SIGTERM stops it within five seconds, SIGHUP (or POST
    /-/reload) lets it read its settings again.
    """
    overrides = {KEYS[name]: _plain(value) for name, value in flags.items()}

    def load() -> Settings:
        return load_settings(config_file, os.environ, overrides)

    settings = load()
    set_up_logging(settings.log_level)
    from kelp.server.main import run_server  # noqa: PLC0415 - the engine, which --help need not load

    run_server(settings, load, lambda url: click.echo(f"Kelp is listening on {url}"))


# Option → key of the settings.
KEYS = {
    "data_dir": "data_dir",
    "listen": "server.listen",
    "insecure_listen": "server.insecure_listen",
    "log_level": "log_level",
}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
