"""What the kubelet and the container runtime were told about logs: when to rotate, where to split.

Read from their configuration files where this user may; a key that is not set has its documented
default, and says so. What the kubelet was told by flags counts before its file.

Sources: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (containerLog…),
https://github.com/containerd/containerd/blob/main/docs/cri/config.md (max_container_log_line_size),
https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.5.md (log_size_max) and
https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

_MAX_BYTES = 4 << 20  # no such file is larger

_KUBELET = {
    "containerLogMaxSize": "10Mi",
    "containerLogMaxFiles": 5,
    "containerLogMaxWorkers": 1,
    "containerLogMonitorInterval": "10s",
}
_FLAGS = {
    "container-log-max-size": "containerLogMaxSize",
    "container-log-max-files": "containerLogMaxFiles",
}
_FLAG = re.compile(r"--(?P<name>[a-z-]+)[= ](?P<value>[^\s\"']+)")
_CONTAINERD_LINE_BYTES = 16_384


class Setting(Struct, frozen=True):
    """One key; `source` is a file, or `default`."""

    program: str
    key: str
    value: str
    source: str


class LogConfiguration(Struct, frozen=True):
    """What was found; `notes` tell what could not be read."""

    settings: list[Setting]
    notes: list[str]


def read_configuration(root: Path = Path("/")) -> LogConfiguration:
    """The configuration of the node whose file system is at `root`."""
    notes: list[str] = []
    settings: list[Setting] = []
    for read in (_kubelet, _containerd, _crio, _docker):
        settings += read(root, notes)
    return LogConfiguration(settings, notes)


def _kubelet(root: Path, notes: list[str]) -> Iterator[Setting]:
    file = root / "var/lib/kubelet/config.yaml"
    flags_file = root / "var/lib/kubelet/kubeadm-flags.env"
    told = _parsed(file, _yaml, notes)
    flags = dict(_flags(flags_file, notes))
    if told is None and not flags:
        return
    for key, default in _KUBELET.items():
        if key in flags:
            yield Setting("kubelet", key, flags[key], _name(flags_file, root))
        elif told and key in told:
            yield Setting("kubelet", key, str(told[key]), _name(file, root))
        else:
            yield Setting("kubelet", key, str(default), "default")


def _flags(file: Path, notes: list[str]) -> Iterator[tuple[str, str]]:
    for match in _FLAG.finditer(_read(file, notes) or ""):
        if match["name"] in _FLAGS:
            yield _FLAGS[match["name"]], match["value"]


def _containerd(root: Path, notes: list[str]) -> Iterator[Setting]:
    file = root / "etc/containerd/config.toml"
    told = _parsed(file, tomllib.loads, notes)
    if told is None:
        return
    key = "max_container_log_line_size"
    plugins = told.get("plugins")
    for name in ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "cri"):
        plugin = plugins.get(name) if isinstance(plugins, dict) else None
        if isinstance(plugin, dict) and key in plugin:
            yield Setting("containerd", key, str(plugin[key]), _name(file, root))
            return
    yield Setting("containerd", key, str(_CONTAINERD_LINE_BYTES), "default")


def _crio(root: Path, notes: list[str]) -> Iterator[Setting]:
    folder = root / "etc/crio/crio.conf.d"
    files = [root / "etc/crio/crio.conf"]
    try:
        files += sorted(folder.glob("*.conf"))
    except OSError as e:
        notes.append(f"{folder}: cannot be listed: {e.strerror or e}")
    # A later file counts before an earlier one.
    for file in reversed(files):
        told = _parsed(file, tomllib.loads, notes) or {}
        runtime = (told.get("crio") or {}).get("runtime") if isinstance(told, dict) else None
        if isinstance(runtime, dict) and "log_size_max" in runtime:
            yield Setting("crio", "log_size_max", str(runtime["log_size_max"]), _name(file, root))
            return


def _docker(root: Path, notes: list[str]) -> Iterator[Setting]:
    file = root / "etc/docker/daemon.json"
    told = _parsed(file, json.loads, notes)
    if told is None:
        return
    source = _name(file, root)
    driver = told.get("log-driver")
    yield Setting("docker", "log-driver", str(driver or "json-file"),
                  source if driver else "default")  # fmt: skip
    options = told.get("log-opts")
    for key in ("max-size", "max-file", "compress"):
        if isinstance(options, dict) and key in options:
            yield Setting("docker", key, str(options[key]), source)


def _parsed(file: Path, parse: Callable[[str], Any], notes: list[str]) -> Mapping[str, Any] | None:
    """The mapping in a file; None where there is none that can be read."""
    text = _read(file, notes)
    if text is None:
        return None
    try:
        found = parse(text)
    except (ValueError, yaml.YAMLError, RecursionError) as e:  # TOML's and JSON's are ValueErrors
        notes.append(f"{file}: cannot be read: {str(e).splitlines()[0]}")
        return None
    if not isinstance(found, dict):
        notes.append(f"{file}: expected keys with values; got {type(found).__name__}")
        return None
    return found


def _yaml(text: str) -> Any:
    return yaml.safe_load(text)


def _read(file: Path, notes: list[str]) -> str | None:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as e:
        notes.append(f"{file}: cannot be read: {e.strerror or e}; run as root")
        return None


def _name(file: Path, root: Path) -> str:
    """As the node calls it."""
    return "/" + str(file.relative_to(root))
