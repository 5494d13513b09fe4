"""`kelp version`: what is installed, for a report of a fault."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from kelp import __version__

# What a fault most often hangs on.
PACKAGES = ("pyarrow", "chdb", "clickhouse-connect")


@click.command("version")
def command() -> None:
    """Print the versions of Kelp, of Python and of the engine's packages."""
    click.echo(f"kelp {__version__}")
    click.echo(f"python {platform.python_version()} on {platform.platform()}")
    for package in PACKAGES:
        click.echo(f"{package} {_version(package)}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
