"""`kelp up`: everything on this machine in one go, for a first look and for a single node.

The server and the agent are the same processes as `kelp server` and `kelp agent`, children of this
one; with `--demo` a third writes a simulated node's logs. What they shall do reaches them by
KELP_… variables, so that each can be run by hand in the same way.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import httpx2

from kelp import __version__
from kelp.base.clock import SystemClock
from kelp.base.config import Config, load_config
from kelp.base.config_checks import split_listen
from kelp.base.errors import KelpError
from kelp.base.settings import Settings
from kelp.base.token import read_or_make_token
from kelp.cli.children import ChildSpec
from kelp.cli.client import configured_url, reachable
from kelp.cli.instance import Instance, announce, instance_path, withdraw
from kelp.cli.options import FOLDER, config_option
from kelp.cli.supervise import Supervisor

READY_TIMEOUT_S = 120.0
DEMO_NODE = "demo-node"

# What each has to stop at the least; together no more than supervise.STOP_S.
DEMO_PATIENCE_S = 0.4
AGENT_PATIENCE_S = 2.2
SERVER_PATIENCE_S = 1.7


@dataclass(frozen=True)
class Site:
    """One `kelp up`: its settings, and what its children are told by the environment."""

    settings: Settings
    environ: Mapping[str, str]
    url: str
    token_file: Path
    demo_reason: str  # why there is a simulated node; empty: there is none


@click.command("up")
@config_option
@click.option("--listen", help="host:port of the server. Default: 127.0.0.1:3170.")
@click.option("--data-dir", type=FOLDER, help="Where everything is kept. With --demo: a folder "
              "that is removed at the end.")  # fmt: skip
@click.option("--pods-dir", type=FOLDER, help="Root of the log files. Default: /var/log/pods.")
@click.option("--demo", is_flag=True, help="Show the logs of a simulated node. Done without being "
              "asked where there is no /var/log/pods.")  # fmt: skip
def command(
    config_file: Path | None,
    listen: str | None,
    data_dir: Path | None,
    pods_dir: Path | None,
    demo: bool,
) -> None:
    """Start Kelp on this machine: server, store and agent in one go.

    Ctrl-C or SIGTERM stops all of it; SIGHUP lets it read its settings again.
    """
    if demo and pods_dir:
        raise click.UsageError("expected one of --demo and --pods-dir; got both")
    flags = {"server.listen": listen, "data_dir": data_dir, "agent.pods_dir": pods_dir}
    supervisor = Supervisor(SystemClock(), _tell)
    with supervisor.signals(), ExitStack() as stack:
        site = prepare(config_file, flags, demo, dict(os.environ), stack)
        run(site, supervisor, stack)


def prepare(
    config_file: Path | None,
    flags: Mapping[str, object],
    demo: bool,
    environ: dict[str, str],
    stack: ExitStack,
) -> Site:
    """Settle everything that can be wrong before a process starts; raises KelpError."""
    config = load_config(config_file, environ, flags)
    reason = _demo_reason(config, demo)
    if reason and config_file is None:
        # A file that Kelp finds by itself is for the real logs of this machine.
        if config.file:
            _tell(f"{config.file} is not for a simulated node; to use it, name it with --config")
        environ["KELP_CONFIG"] = os.devnull
        config = load_config(None, environ, flags)
    for warning in config.warnings:
        _tell(f"warning: {warning}")
    if not reason:
        _warn_unreadable(Path(config.settings.agent.pods_dir))
    if config_file is not None:
        environ["KELP_CONFIG"] = str(config_file.absolute())
    told = _told(config, reason, stack)
    environ |= told
    settings = load_config(config_file, environ).settings
    _hold(stack, Path(settings.data_dir))
    _check_free(settings.server.listen)
    token_file = settings.under_data_dir(settings.server.token_file, "token")
    read_or_make_token(token_file)
    return Site(settings, environ, configured_url(settings), token_file, reason)


def run(site: Site, supervisor: Supervisor, stack: ExitStack) -> None:
    """Start the children and keep them until told to stop; raises KelpError."""
    # Our own children on this machine: no proxy, and a certificate may be for another name.
    http = stack.enter_context(httpx2.Client(trust_env=False, verify=False, timeout=5.0))
    stack.callback(supervisor.stop)
    *first, agent = _children(site)
    for spec in first:
        supervisor.start(spec)
    past = _demo_ready_file(site.settings)

    def server_is_ready() -> bool:
        # The agent must not see the demo's past while it is made, which is faster than any node.
        return (not site.demo_reason or past.exists()) and _answers(http, f"{site.url}/ready")

    if not supervisor.wait_ready(server_is_ready, READY_TIMEOUT_S):
        return
    supervisor.start(agent)
    if not supervisor.wait_ready(lambda: _agent_answers(http, site.settings), READY_TIMEOUT_S):
        return
    stack.enter_context(_announced(site))
    click.echo(greeting(site))
    supervisor.run()
    _tell("stopping")


def greeting(site: Site) -> str:
    """What a newcomer reads: where it is, and what to do now."""
    kelp = _how_to_call()
    pods_dir = Path(site.settings.agent.pods_dir)
    node = "a simulated node" if site.demo_reason else str(pods_dir)
    reason = f", {site.demo_reason}" if site.demo_reason else ""
    if not site.demo_reason and not pods_dir.exists():
        reason = ", which is not there yet"
    pods = "payments" if site.demo_reason else "kube-system"
    return f"""\
Kelp {__version__} is up at {site.url}
  logs       of {node}{reason}
  data       in {site.settings.data_dir}
  API token  in {site.token_file}

In another terminal:
  {kelp} logs -n {pods} -f
  {kelp} logs -i 'error|timed out' --since 5m
  {kelp} query 'sum by (namespace) (rate({{pod=~".+"}}[1m]))' --since 10m

Ctrl-C stops it."""


def _demo_reason(config: Config, demo: bool) -> str:
    """Why to simulate a node; empty: there is no reason to."""
    if demo:
        return "as --demo asks"
    absent = not Path(config.settings.agent.pods_dir).exists()
    if absent and config.origins["agent.pods_dir"] == "default":
        return f"for there is no {config.settings.agent.pods_dir} here"
    return ""


def _warn_unreadable(pods_dir: Path) -> None:
    if pods_dir.exists() and not os.access(pods_dir, os.R_OK | os.X_OK):
        _tell(f"warning: this user may not read {pods_dir}: run as root, or look at --demo")


def _told(config: Config, demo_reason: str, stack: ExitStack) -> dict[str, str]:
    """The variables that make the children's settings agree with each other."""
    settings, origins = config.settings, config.origins
    _, port = split_listen(settings.server.listen)
    told = {
        "KELP_DATA_DIR": settings.data_dir,
        "KELP_SERVER_LISTEN": settings.server.listen,
        "KELP_AGENT_PODS_DIR": settings.agent.pods_dir,
    }
    if origins["agent.listen"] == "default":
        told["KELP_AGENT_LISTEN"] = f"127.0.0.1:{port + 1 if port < 65535 else port - 1}"
    if origins["agent.ship.url"] == "default":
        told["KELP_AGENT_SHIP_URL"] = configured_url(settings)
    if origins["log_level"] == "default":
        told["KELP_LOG_LEVEL"] = "warning"  # on a terminal the rest is noise
    if demo_reason:
        folder = Path(tempfile.mkdtemp(prefix="kelp-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        told["KELP_AGENT_PODS_DIR"] = str(folder / "pods")
        # What this machine itself writes is no part of the simulated node.
        told |= {"KELP_AGENT_JOURNAL_ENABLED": "false", "KELP_AGENT_KMSG_ENABLED": "false"}
        told |= {"KELP_AGENT_CONTAINERS_DIR": "", "KELP_AGENT_KUBERNETES": "off"}
        told |= {"KELP_AGENT_NODE_LOGS_ENABLED": "false"}
        told["KELP_AGENT_FILES"] = "[]"
        if origins["data_dir"] == "default":
            told["KELP_DATA_DIR"] = str(folder / "data")
        if origins["agent.node"] == "default":
            told["KELP_AGENT_NODE"] = DEMO_NODE
    return told


def _children(site: Site) -> Iterator[ChildSpec]:
    """Server, agent and demo writer; stopped the other way round."""
    kelp = [sys.executable, "-m", "kelp"]
    yield ChildSpec("server", [*kelp, "server"], site.environ, SERVER_PATIENCE_S)
    if site.demo_reason:
        ready = str(_demo_ready_file(site.settings))
        folder = site.settings.agent.pods_dir
        writer = [sys.executable, "-m", "kelp.demo", folder, "--ready-file", ready]
        yield ChildSpec("demo writer", writer, site.environ, DEMO_PATIENCE_S)
    yield ChildSpec("agent", [*kelp, "agent"], site.environ, AGENT_PATIENCE_S)


def _demo_ready_file(settings: Settings) -> Path:
    return Path(settings.agent.pods_dir).with_name("pods-ready")


def _hold(stack: ExitStack, data_dir: Path) -> None:
    """Keep a second `kelp up` from the same data."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = stack.enter_context((data_dir / "up.lock").open("w"))
    except OSError as e:
        raise KelpError(
            f"cannot write to the data folder {data_dir}: {e.strerror}; "
            "name another with --data-dir"
        ) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        raise KelpError(
            f"another `kelp up` uses {data_dir}: stop it, or name another folder with --data-dir"
        ) from e


def _check_free(listen: str) -> None:
    """Tell at once that a port is taken, not after the store was opened."""
    host, port = split_listen(listen)
    if not port:
        raise KelpError(f'expected a port for `kelp up`; got "{listen}" (any that is free)')
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as e:
        raise KelpError(
            f"cannot listen on {listen}: {e.strerror or e}; is another Kelp running? "
            "Choose another address with --listen"
        ) from e


def _answers(http: httpx2.Client, url: str) -> bool:
    try:
        return http.get(url).is_success
    except httpx2.HTTPError:
        return False


def _agent_answers(http: httpx2.Client, settings: Settings) -> bool:
    port = split_listen(settings.agent.listen)[1]
    # Port 0 is any that is free, which only the agent knows.
    return not port or _answers(http, f"http://{reachable(settings.agent.listen)}/healthz")


@contextmanager
def _announced(site: Site) -> Iterator[None]:
    """Let `kelp logs` of this user find us while we run."""
    path = instance_path(os.environ)
    instance = Instance(
        site.url,
        str(site.token_file.absolute()),
        os.getpid(),
        str(Path(site.settings.agent.pods_dir).absolute()),
        str(Path(site.settings.data_dir).absolute()),
    )
    try:
        announce(instance, path)
    except OSError as e:
        _tell(f"warning: cannot write {path} ({e.strerror}): name this server with --url")
    try:
        yield
    finally:
        withdraw(instance, path)


def _how_to_call() -> str:
    """`kelp` as the reader can type it: by its path where it is not on $PATH."""
    own = Path(sys.executable).with_name("kelp")
    found = shutil.which("kelp")
    if not own.exists() or (found and Path(found).resolve() == own.resolve()):
        return "kelp"
    relative = os.path.relpath(own)
    return relative if len(relative) < len(str(own)) else str(own)


def _tell(text: str) -> None:
    click.echo(f"kelp: {text}", err=True)
