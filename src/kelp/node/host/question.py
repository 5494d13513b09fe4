"""What is asked of a node: one report with its parameters, as flags give it and as a URL has it.

The command line makes a Question of its flags. Where the node is this machine it makes the sampler
itself; where it is another, the question goes there as text, and the node's agent makes the sampler
of it. So both ways ask for the same, and what is wrong with a question is said in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

import msgspec
from msgspec import Struct, structs

from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.node.host import cgroups, disks, pressure, ps, routes, sockets, top, vmstat
from kelp.node.host.process import Show
from kelp.node.host.reading import Roots
from kelp.node.host.report import Report
from kelp.node.host.selection import Selection

R_co = TypeVar("R_co", bound=Report, covariant=True)


class QuestionError(KelpError):
    """The question is wrong: whoever asks can mend it."""


class Sampler(Protocol[R_co]):
    """What makes reports; each after the first tells of the time since the one before."""

    def sample(self) -> R_co:
        """Look now."""


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One report and what of it. Each kind of report takes some of the parameters: see KINDS.

    `sort` is empty for the report's own order. `protocols` and `families` are lists with commas,
    empty for the usual ones. `states` of sockets: those in use and on offer, or all.
    """

    report: str
    namespace: str = ""
    pod: str = ""
    sort: str = ""
    all: bool = False
    tree: bool = False
    zombies: bool = False
    node_only: bool = False
    listening: bool = False
    protocols: str = ""
    families: str = ""
    states: Literal["usual", "all"] = "usual"

    def parameters(self) -> dict[str, str]:
        """As text, without what is as it is anyway; `question_of` undoes it."""
        usual = structs.asdict(Question(report=self.report))
        given = {n: v for n, v in structs.asdict(self).items() if v != usual[n]}
        return {n: "true" if v is True else str(v) for n, v in given.items()}

    @property
    def kind(self) -> Kind:
        """What is known of reports of this name."""
        return KINDS[self.report]

    @property
    def selection(self) -> Selection:
        """Which pods."""
        return Selection(self.namespace, self.pod)

    def sampler(self, roots: Roots, clock: Clock, show: Show | None = None) -> Sampler[Report]:
        """What answers it on the machine of `roots`; `show`: see processes.list_processes."""
        return self.kind.sampler(self, roots, clock, show)


class Kind(Struct, frozen=True, kw_only=True):
    """A kind of report. `primed`: its rates need two looks; `since_boot`: the first is since boot.

    `sorts` are its orders, the first word of `takes` beside; None where it has one only.
    """

    type: type[Report]
    takes: frozenset[str]
    sampler: Callable[[Question, Roots, Clock, Show | None], Sampler[Report]]
    sorts: Mapping[str, Any] = {}
    default_sort: str = ""
    primed: bool = False
    since_boot: bool = False

    @property
    def rated(self) -> bool:
        """Whether it tells of the time between two looks."""
        return self.primed or self.since_boot


def question_of(report: str, parameters: Mapping[str, str]) -> Question:
    """The question that a URL means; raises QuestionError where it means none."""
    if report not in KINDS:
        raise QuestionError(f'expected a report of {", ".join(KINDS)}; got "{report}"')
    kind = KINDS[report]
    for name in parameters:
        if name not in kind.takes:
            known = ", ".join(sorted(kind.takes)) or "none"
            raise QuestionError(f'{report}: expected a parameter of {known}; got "{name}"')
    try:
        question = msgspec.convert({"report": report, **parameters}, Question, strict=False)
    except msgspec.ValidationError as e:
        raise QuestionError(f"{report}: a parameter cannot be read: {e}") from e
    _check(question)
    return question


def _check(question: Question) -> None:
    kind = question.kind
    if question.sort and question.sort not in kind.sorts:
        raise QuestionError(
            f"{question.report}: expected sort to be one of {', '.join(kind.sorts)}; "
            f'got "{question.sort}"'
        )
    for name, known in (("protocols", ("tcp", "udp", "unix")), ("families", ("4", "6"))):
        for word in _words(getattr(question, name)):
            if word not in known:
                raise QuestionError(
                    f'{question.report}: expected {name} to be of {",".join(known)}; got "{word}"'
                )


def _words(text: str) -> list[str]:
    return [w.strip() for w in text.split(",") if w.strip()]


def _families(question: Question) -> frozenset[int]:
    return frozenset(map(int, _words(question.families))) or frozenset({4, 6})


def _wanted(question: Question) -> sockets.Wanted:
    return sockets.Wanted(
        protocols=frozenset(_words(question.protocols)) or frozenset({"tcp", "udp"}),
        families=_families(question),
        states=None if question.states == "all" else sockets.USUAL_STATES,
        listening=question.listening,
    )


def _sort(question: Question) -> str:
    return question.sort or question.kind.default_sort


_POD = frozenset({"namespace", "pod"})

KINDS: dict[str, Kind] = {
    "top": Kind(
        type=top.TopReport, takes=_POD | {"sort"}, sorts=top.SORTS, default_sort="cpu", primed=True,
        sampler=lambda q, roots, clock, show: top.TopSampler(
            roots, clock, q.selection, _sort(q), show),
    ),
    "ps": Kind(
        type=ps.PsReport, takes=_POD | {"sort", "tree", "zombies"}, sorts=ps.SORTS,
        default_sort="pid",
        sampler=lambda q, roots, clock, show: ps.PsSampler(
            roots, clock, q.selection, _sort(q), tree=q.tree, zombies=q.zombies, show=show),
    ),
    "iostat": Kind(
        type=disks.IostatReport, takes=frozenset({"sort", "all"}), sorts=disks.SORTS,
        default_sort="device", since_boot=True,
        sampler=lambda q, roots, clock, _show: disks.IostatSampler(
            roots, clock, _sort(q), everything=q.all),
    ),
    "vmstat": Kind(
        type=vmstat.VmstatReport, takes=frozenset(), since_boot=True,
        sampler=lambda _q, roots, clock, _show: vmstat.VmstatSampler(roots, clock),
    ),
    "ss": Kind(
        type=sockets.SocketReport, sorts=sockets.SORTS, default_sort="state",
        takes=_POD | {"sort", "protocols", "families", "states", "listening"},
        sampler=lambda q, roots, clock, _show: sockets.SocketSampler(
            roots, clock, q.selection, _sort(q), _wanted(q)),
    ),
    "route": Kind(
        type=routes.RouteReport, takes=_POD | {"families", "all"},
        sampler=lambda q, roots, clock, _show: routes.RouteSampler(
            roots, clock, q.selection, _families(q), everything=q.all),
    ),
    "pressure": Kind(
        type=pressure.PressureReport, takes=_POD | {"sort", "node_only"}, sorts=pressure.SORTS,
        default_sort="pod",
        sampler=lambda q, roots, clock, _show: pressure.PressureSampler(
            roots, clock, q.selection, _sort(q), by_pod=not q.node_only),
    ),
    "cgroups": Kind(
        type=cgroups.CgroupReport, takes=_POD | {"sort", "all"}, sorts=cgroups.SORTS,
        default_sort="pod", primed=True,
        sampler=lambda q, roots, clock, _show: cgroups.CgroupSampler(
            roots, clock, q.selection, _sort(q), everything=q.all),
    ),
}  # fmt: skip
"""By the names of `kelp node`."""
