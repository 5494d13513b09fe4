"""Options that several subcommands have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

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
