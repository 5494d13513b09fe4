"""`kelp node`: what a node is doing, with the pod and container beside everything.

The commands differ in their options and in how their reports look; where a report comes from, this
machine or a node's agent, is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

import click

from kelp.cli.node_list import list_command
from kelp.cli.node_logs import logs as logs_command
from kelp.cli.node_view import View, limit_option, pod_options, sort_option, view_options
from kelp.node.host import cgroups, disks, pressure, ps, sockets, top
from kelp.node.host.question import Question
from kelp.node.host.selection import Selection
from kelp.node.host.show import cgroups as show_cgroups
from kelp.node.host.show import iostat as show_iostat
from kelp.node.host.show import pressure as show_pressure
from kelp.node.host.show import ps as show_ps
from kelp.node.host.show import route as show_route
from kelp.node.host.show import ss as show_ss
from kelp.node.host.show import top as show_top
from kelp.node.host.show import vmstat as show_vmstat
from kelp.node.host.vmstat import VmstatReport

# vmstat repeats its heading before it has left the screen.
_HEADING_EVERY = 20

_FAMILIES = (
    click.option("-4", "--ipv4", "only_v4", is_flag=True, help="IPv4 only."),
    click.option("-6", "--ipv6", "only_v6", is_flag=True, help="IPv6 only."),
)


@click.group("node")
def node() -> None:
    """Show what a node is doing, with pod and container beside everything.

    With NODE, from anywhere: the node's agent is asked through the server, and leaves out of the
    arguments of processes what looks like a secret. Without, on the node, as root: other users see
    their own processes' sockets only, and are told what is missing. In a container, give it the
    node's /proc and /sys.
    """


@node.command("top")
@view_options
@pod_options("-n", "--namespace")
@sort_option(top.SORTS, "cpu")
@limit_option
def top_command(view: View, selection: Selection, sort: str, limit: int | None) -> None:
    """Show who uses CPU and memory, over one second or the time between looks.

    CPU is percent of one CPU. The header is of the whole node, whatever is selected.
    """
    question = _of_pods("top", selection, sort=sort)
    view.show(question, partial(show_top.lines, width=view.width, rows=limit))


@node.command("ps")
@view_options
@pod_options("-n", "--namespace")
@sort_option(ps.SORTS, "pid")
@limit_option
@click.option("--tree", is_flag=True, help="Show each process under its parent.")
@click.option("--zombies", is_flag=True, help="Only those that ended and were not waited for.")
def ps_command(
    view: View, selection: Selection, sort: str, limit: int | None, tree: bool, zombies: bool
) -> None:
    """List processes; zombies are marked <defunct>, with the parent that neglects them."""
    question = _of_pods("ps", selection, sort=sort, tree=tree, zombies=zombies)
    view.show(question, partial(show_ps.lines, width=view.width, rows=limit))


@node.command("iostat")
@view_options
@sort_option(disks.SORTS, "device")
@limit_option
@click.option("--all", "everything", is_flag=True, help="Partitions and unused devices too.")
def iostat_command(view: View, sort: str, limit: int | None, everything: bool) -> None:
    """Show what the disks do: first since boot, then between looks (--watch).

    r/s, w/s, d/s, f/s: reads, writes, discards, flushes a second; await: milliseconds that a
    request took; aqu-sz: requests under way on average; %util: part of the time with any.
    """
    lines = partial(show_iostat.lines, width=view.width, rows=limit)
    view.show(Question(report="iostat", sort=sort, all=everything), lines, style="blocks")


@node.command("vmstat")
@view_options
def vmstat_command(view: View) -> None:
    """Show processes, memory, swap, blocks, interrupts and CPU in one line a look.

    First since boot, then between looks (--watch). Memory and blocks are KiB, rates a second.
    """
    number = count()

    def with_heading(report: VmstatReport) -> Iterator[str]:
        n = next(number)
        if n == 0 or (view.height and n % _HEADING_EVERY == 0):
            yield show_vmstat.heading()
        yield show_vmstat.line(report)

    view.show(Question(report="vmstat"), with_heading, style="lines")


@node.command("ss")
@view_options
@pod_options("--namespace")
@sort_option(sockets.SORTS, "state")
@limit_option
@click.option("-t", "--tcp", is_flag=True, help="TCP. Default: TCP and UDP.")
@click.option("-u", "--udp", is_flag=True, help="UDP.")
@click.option("-x", "--unix", is_flag=True, help="Unix domain.")
@click.option("-l", "--listening", is_flag=True, help="Only what listens.")
@click.option("-a", "--all", "every_state", is_flag=True, help="All states, TIME-WAIT too.")
@click.option("-n", "--numeric", is_flag=True, help="As with ss. Ports are always numbers.")
@click.option("-p", "--processes", is_flag=True, help="All processes of a socket, with descriptor.")
@click.option("--timers", is_flag=True, help="TCP's timers: name, seconds left, retransmissions.")
@_FAMILIES[0]
@_FAMILIES[1]
def ss_command(
    view: View, selection: Selection, sort: str, limit: int | None, **flags: bool
) -> None:
    """List the sockets of the node and of all pods on it, with who holds them.

    Listening and established ones, unless -l or -a says otherwise. `kelp node ss -tulnp` is what
    `ss -tulnp` is, for all network namespaces at once.
    """
    question = _of_pods(
        "ss",
        selection,
        sort=sort,
        protocols=",".join(p for p in ("tcp", "udp", "unix") if flags[p]),
        families=_families(flags["only_v4"], flags["only_v6"]),
        states="all" if flags["every_state"] else "usual",
        listening=flags["listening"],
    )
    lines = partial(
        show_ss.lines,
        width=view.width,
        rows=limit,
        processes=flags["processes"],
        timers=flags["timers"],
    )
    view.show(question, lines)


@node.command("route")
@view_options
@pod_options("-n", "--namespace")
@limit_option
@click.option("-a", "--all", "everything", is_flag=True, help="Own addresses and multicast too.")
@_FAMILIES[0]
@_FAMILIES[1]
def route_command(
    view: View,
    selection: Selection,
    limit: int | None,
    everything: bool,
    only_v4: bool,
    only_v6: bool,
) -> None:
    """Show the routing tables, as `netstat -rn`; with --pod or -n those of pods."""
    families = _families(only_v4, only_v6)
    question = _of_pods("route", selection, families=families, all=everything)
    view.show(question, partial(show_route.lines, width=view.width, rows=limit))


@node.command("pressure")
@view_options
@pod_options("-n", "--namespace")
@sort_option(pressure.SORTS, "pod")
@limit_option
@click.option("--node-only", is_flag=True, help="Leave the pods out.")
def pressure_command(
    view: View, selection: Selection, sort: str, limit: int | None, node_only: bool
) -> None:
    """Show how long work stood still for want of CPU, memory or I/O (PSI).

    Percent of the last 10, 60 and 300 seconds in which some task waited, or all did (full). By pod
    and container: of the last 10 seconds; needs cgroup v2.
    """
    question = _of_pods("pressure", selection, sort=sort, node_only=node_only)
    view.show(question, partial(show_pressure.lines, width=view.width, rows=limit))


@node.command("cgroups")
@view_options
@pod_options("-n", "--namespace")
@sort_option(cgroups.SORTS, "pod")
@limit_option
@click.option("--all", "everything", is_flag=True, help="QoS classes and services too.")
def cgroups_command(
    view: View, selection: Selection, sort: str, limit: int | None, everything: bool
) -> None:
    """Show what each pod and container uses, against its limits, by the kernel's books.

    CPU is CPUs used over one second or between looks; WORKING is the working set, by which the
    kubelet evicts; OOM counts processes that the kernel killed, HITS how often the limit was met.
    """
    question = _of_pods("cgroups", selection, sort=sort, all=everything)
    view.show(question, partial(show_cgroups.lines, width=view.width, rows=limit))


def _of_pods(report: str, selection: Selection, **parameters: Any) -> Question:
    return Question(report=report, namespace=selection.namespace, pod=selection.pod, **parameters)


def _families(only_v4: bool, only_v6: bool) -> str:
    return ",".join(f for f, wanted in (("4", only_v4), ("6", only_v6)) if wanted)


node.add_command(list_command)
node.add_command(logs_command)
