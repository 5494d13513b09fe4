"""`kelp config`: is the file right, what is in force and why, what could be set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from kelp.base.config import Config
from kelp.base.config_schema import json_schema, keys
from kelp.base.mask import mask_url
from kelp.cli.options import FILE, config_option, load


@click.group("config")
def command() -> None:
    """Check and show the configuration."""


@command.command("check")
@click.argument("file", required=False, type=FILE)
def check(file: Path | None) -> None:
    """Check FILE (default: the file that Kelp would read) together with the environment.

    Prints every error with its line and column, and exits with 1 where there is one.
    """
    config = load(file)
    click.echo(f"{config.file or 'no configuration file: the defaults'}: fine")


@command.command("show")
@config_option
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True
)
def show(config_file: Path | None, output: str) -> None:
    """Print every setting in force and where it comes from; secrets in URLs are masked."""
    config = load(config_file)
    if output == "yaml":
        click.echo("\n".join(yaml_lines(config)))
        return
    shown = {p: {"value": v, "origin": config.origins[p]} for p, v in effective(config).items()}
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of kelp.yaml, for editors."""
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def effective(config: Config) -> dict[str, Any]:
    """The value of each key, as JSON has it, with secrets masked."""
    return {k.path: _masked(_value_at(config, k.path)) for k in keys()}


def yaml_lines(config: Config) -> Iterator[str]:
    """The effective settings as a kelp.yaml, with each value's origin in a comment."""
    open_sections: list[str] = []
    for path, value in effective(config).items():
        *sections, name = path.split(".")
        common = _common_length(open_sections, sections)
        for depth in range(common, len(sections)):
            yield f"{'  ' * depth}{sections[depth]}:"
        open_sections = sections
        text = json.dumps(value, ensure_ascii=False)
        yield f"{'  ' * len(sections)}{name}: {text}  # {config.origins[path]}"


def _common_length(a: list[str], b: list[str]) -> int:
    same = 0
    while same < min(len(a), len(b)) and a[same] == b[same]:
        same += 1
    return same


def _value_at(config: Config, path: str) -> Any:
    value: Any = config.settings
    for name in path.split("."):
        value = getattr(value, name)
    return msgspec.to_builtins(value)


def _masked(value: Any) -> Any:
    return mask_url(value) if isinstance(value, str) else value
