"""`kelp support-bundle`: what a node and its agent say of themselves, in one redacted archive."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import click
import msgspec

from kelp.base.clock import SystemClock
from kelp.base.errors import KelpError
from kelp.cli.node_source import PATH
from kelp.cli.node_view import node_options, one_node
from kelp.cli.options import config_option, load, server_options
from kelp.node.bundle.archive import MANIFEST, Manifest
from kelp.node.text import printable, size

TIMEOUT_S = 120
_MAX_TIMEOUT_S = 600
# Beyond the bundle's own time: what the last file takes, and the way here.
_PATIENCE_S = 60.0
_STDOUT = "-"


@click.command("support-bundle")
@node_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="",
    help="Where to write it, - for standard output. Default: kelp-support-NODE-TIME.tar.gz here.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(10, _MAX_TIMEOUT_S),
    default=TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="After so long no further file is begun; what is missing then, the manifest says.",
)
@config_option
@server_options
def support_bundle(
    node_argument: str | None,
    node_option: str,
    output: str,
    timeout_s: int,
    config_file: Path | None,
    **server: str,
) -> None:
    """Put what a node and its agent say of themselves into one archive.

    Processes, sockets, disks, memory, cgroups, routes, pressure; the kernel's log and its OOM
    kills; the last lines of kubelet and container runtime; names and sizes of pods' log files; the
    agent's settings, metrics, spool and checkpoints; versions. MANIFEST.json says what is in it and
    what could not be had.

    No log of a container is in it, and what looks like a secret is [redacted]: look through it all
    the same before you give it away.

    With NODE, from anywhere: its agent makes the archive. Without, of this machine, best as root.
    """
    node = one_node(node_argument, node_option)
    if node:
        pieces = _from_agent(node, timeout_s, server)
    else:
        node, pieces = _from_here(config_file, timeout_s)
    _write(pieces, output or _default_name(node))


def _from_agent(node: str, timeout_s: int, server: dict[str, str]) -> Iterator[bytes]:
    from kelp.cli.client import Client, find_connection  # noqa: PLC0415 - takes a while to load

    client = Client(find_connection(server["url"], server["token_file"], server["ca_file"]))
    path = f"{PATH}/{quote(node, safe='')}/support-bundle"
    return client.chunks(path, {"timeout_s": timeout_s}, timeout_s + _PATIENCE_S)


def _from_here(config_file: Path | None, timeout_s: int) -> tuple[str, Iterator[bytes]]:
    from kelp.cli.bundle import of_this_machine  # noqa: PLC0415 - takes a while to load

    bundle = of_this_machine(load(config_file).settings)
    return bundle.node, bundle.pieces(SystemClock(), timeout_s)


def _default_name(node: str) -> str:
    from kelp.cli.bundle import folder_name  # noqa: PLC0415 - as above

    return f"{folder_name(node, SystemClock().now_ns())}.tar.gz"


def _write(pieces: Iterator[bytes], output: str) -> None:
    """All of it or nothing: what breaks off leaves no file that looks whole."""
    if output == _STDOUT:
        _copy(pieces, sys.stdout.buffer)
        return
    target = Path(output)
    if target.exists():
        raise KelpError(f"{target} exists: name another file with -o, or remove it")
    part = target.with_name(f".{target.name}.part")
    try:
        # Nobody else's to read: it tells much of the node.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            _copy(pieces, file)
        manifest = _manifest(part)
        part.rename(target)
    except OSError as e:
        raise KelpError(f"{target}: cannot write: {e.strerror or e}") from e
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    click.echo(f"{target}: {len(manifest.files)} files, {size(target.stat().st_size)}")
    for missing in manifest.failed:
        click.echo(f"kelp: note: without {missing.name}: {printable(missing.reason)}", err=True)


def _copy(pieces: Iterator[bytes], file: BinaryIO) -> None:
    for piece in pieces:
        file.write(piece)


def _manifest(path: Path) -> Manifest:
    """Read back: an archive that cannot be read is told of now, not when it is needed."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name.endswith(f"/{MANIFEST}"):
                    found = archive.extractfile(member)
                    assert found is not None  # it is a file
                    return msgspec.json.decode(found.read(), type=Manifest)
    except (tarfile.TarError, EOFError, OSError, msgspec.DecodeError) as e:
        raise KelpError(f"the archive that came is damaged: {e}; make it again") from e
    raise KelpError(f"the archive that came is not whole: it has no {MANIFEST}; make it again")
