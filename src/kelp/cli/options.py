"""Options that several subcommands have in common."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from kelp.base.config import Config, load_config

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def config_option(function: F) -> F:
    """--config FILE, as the argument `config_file`."""
    option = click.option(
        "--config",
        "config_file",
        type=FILE,
        help="Configuration file. Default: $KELP_CONFIG, else kelp/kelp.yaml in $XDG_CONFIG_HOME "
        "(~/.config), else in /etc.",
    )
    return option(function)


def load(config_file: Path | None, flags: Mapping[str, object] | None = None) -> Config:
    """The configuration with this process's environment; its warnings go to standard error."""
    config = load_config(config_file, os.environ, flags)
    for warning in config.warnings:
        click.echo(f"kelp: warning: {warning}", err=True)
    return config


def client_options(function: F) -> F:
    """--url, --token-file and --ca-file; the command gets a `connection`."""

    @functools.wraps(function)
    def with_connection(*args: Any, url: str, token_file: str, ca_file: str, **rest: Any) -> Any:
        # The HTTP client, which no other command needs.
        from kelp.cli.client import find_connection  # noqa: PLC0415

        return function(*args, connection=find_connection(url, token_file, ca_file), **rest)

    return cast(F, server_options(with_connection))


def server_options(function: F) -> F:
    """--url, --token-file and --ca-file as they are, for what may do without a server."""
    options = (
        click.option(
            "--url",
            default="",
            help="The server. Default: $KELP_URL, else a running "
            "`kelp up`, else as configured (http://127.0.0.1:3170).",
        ),
        click.option(
            "--token-file",
            default="",
            help="File with the API token. Default: "
            "$KELP_TOKEN, $KELP_TOKEN_FILE, else DATA_DIR/token of a server here.",
        ),
        click.option(
            "--ca-file",
            default="",
            help="Authority of the server's certificate. "
            "Default: $KELP_CA_FILE, else the system's.",
        ),
    )
    decorated: Any = function
    for option in reversed(options):
        decorated = option(decorated)
    return cast(F, decorated)


def time_range(function: F) -> F:
    """--from and --to, as the arguments `start` and `end`."""
    end = click.option("--to", "end", default="now", show_default=True, help="Up to this time.")
    start = click.option("--from", "start", help="From this time on, or from so long ago.")
    return start(end(function))
