"""What other programs say: the units' last lines in the journal, and versions.

Run without a shell, with a time and a size that they may take at the most.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from kelp import __version__
from kelp.base.errors import KelpError
from kelp.base.settings import Journal
from kelp.node.bundle.entry import MAX_FILE_BYTES, AbsentError, Entry
from kelp.node.host.reading import Roots, read_text

TIMEOUT_S = 10.0
# Some hours of a kubelet that has something to say.
JOURNAL_LINES = 5000

UNITS = ("kubelet", "containerd", "crio", "docker", "kube-proxy", "kelp-agent")

# What runs on a node, with what makes each say its version.
PROGRAMS = {
    "kubelet": ("kubelet", "--version"),
    "containerd": ("containerd", "--version"),
    "runc": ("runc", "--version"),
    "crun": ("crun", "--version"),
    "crio": ("crio", "--version"),
    "docker": ("docker", "--version"),
    "crictl": ("crictl", "--version"),
    "systemd": ("systemctl", "--version"),
    "iptables": ("iptables", "--version"),
    "nft": ("nft", "--version"),
}


def run(words: Sequence[str], timeout_s: float = TIMEOUT_S) -> bytes:
    """What a command prints, its end where it is long; AbsentError where there is none.

    Raises KelpError where it fails or takes too long.
    """
    if shutil.which(words[0]) is None:
        raise AbsentError(f"there is no command {words[0]}")
    # A file and not a pipe: what is too long must not be held in memory.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
        try:
            done = subprocess.run(
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=complaints,
                timeout=timeout_s,
                env={**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KelpError(f"{words[0]} did not end within {timeout_s:g} s") from None
        except OSError as e:
            raise KelpError(f"{words[0]} cannot be run: {e.strerror or e}") from e
        if done.returncode != 0:
            complaints.seek(0)
            said = complaints.read(2000).decode(errors="replace").strip()
            raise KelpError(f"{words[0]} ended with status {done.returncode}: {said}")
        size = out.seek(0, os.SEEK_END)
        out.seek(max(size - MAX_FILE_BYTES - 1, 0))
        return out.read()


def journal_entries(settings: Journal) -> Iterator[Entry]:
    """`journal/UNIT.txt`: the last lines of each unit that Kubernetes runs on."""
    for unit in UNITS:
        yield Entry(f"journal/{unit}.txt", partial(journal_tail, settings, unit), keep_end=True)


def journal_tail(settings: Journal, unit: str) -> bytes:
    """The last lines of a unit; raises AbsentError where the journal has none, KelpError."""
    words = [settings.command, f"--unit={unit}.service", f"--lines={JOURNAL_LINES}"]
    words += ["--no-pager", "--quiet", "--output=short-precise", "--utc"]
    if settings.directory:
        words.append(f"--directory={settings.directory}")
    lines = run(words)
    if not lines.strip():
        raise AbsentError(f"the journal has nothing of {unit}.service")
    return lines


def version_entries(roots: Roots) -> Iterator[Entry]:
    """`versions.json`: kernel, distribution, Kelp, and what a node of Kubernetes runs on."""
    yield Entry("versions.json", lambda: msgspec.json.encode(_versions(roots)))


def _versions(roots: Roots) -> dict[str, object]:
    return {
        "kelp": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": (read_text(roots.proc / "version") or "").strip(),
        "command_line": (read_text(roots.proc / "cmdline") or "").strip(),
        "distribution": _distribution(roots),
        "programs": {name: _version(words) for name, words in PROGRAMS.items()},
    }


def _distribution(roots: Roots) -> dict[str, str]:
    """/etc/os-release of the node, where its root can be seen, else of this container."""
    for path in (roots.proc / "1/root/etc/os-release", Path("/etc/os-release")):
        try:
            data = path.read_text(errors="replace")
        except OSError:
            continue
        pairs = (line.partition("=") for line in data.splitlines())
        return {name: value.strip("\"'") for name, found, value in pairs if found}
    return {}


def _version(words: Sequence[str]) -> str:
    try:
        return run(words).decode(errors="replace").strip().partition("\n")[0]
    except AbsentError:
        return "not found"
    except KelpError as e:
        return f"unknown: {e}"
