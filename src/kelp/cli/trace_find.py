"""Which logs are meant, and where they are: on this node, in a store, or both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import re2

from kelp.agent.collect.filetree import FileNaming, FileTree
from kelp.agent.collect.paths import (
    LogName,
    Naming,
    PodFolder,
    PodNaming,
    parse_log_name,
    parse_pod_folder,
)
from kelp.agent.lookback.files import linked_logs, logs_in
from kelp.base.errors import KelpError
from kelp.base.settings import Agent
from kelp.cli.logs_select import Matcher, Target
from kelp.cli.trace_store import TraceStore
from kelp.model.raw import Instance
from kelp.model.stored import StoredInstance, instance_labels
from kelp.node.trace.links import hops

MAX_INSTANCES = 1000  # asked of a store

# What names an instance whoever tells of it: the agent may be told another name for the node.
_KEY = ("namespace", "pod", "pod_uid", "container", "restart", "filename", "unit", "boot_id")

Key = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """A log's folder on this node, with the names of its files in the order of writing."""

    folder: Path
    naming: Naming
    log: str  # a restart; of a plain file its live name
    names: tuple[LogName, ...]

    @property
    def instance(self) -> Instance:
        """Who writes it, by the settings of this machine."""
        return self.naming.instance(self.folder, self.log)

    def names_now(self) -> tuple[LogName, ...]:
        """The names, looked at again: a rotation may have come since."""
        try:
            return tuple(logs_in(self.folder, self.naming).get(self.log, ()))
        except OSError:
            return self.names

    @property
    def of_container(self) -> bool:
        """Whether lines have a head of the container runtime."""
        return not isinstance(self.naming, FileNaming)


@dataclass(frozen=True)
class Traced:
    """One log: where it is on this node, and what a store has of it."""

    labels: dict[str, str]
    place: Place | None
    stored: StoredInstance | None


@dataclass(frozen=True)
class Wanted:
    """The flags that choose logs; `runs` is newest, previous or all."""

    target: Target | None
    namespace: str = ""
    container: str = ""
    runs: str = "newest"


@dataclass
class Search:
    """Looks on this node (`agent` says where) and, where there is one, in a store."""

    agent: Agent
    store: TraceStore | None
    notes: list[str] = field(default_factory=list)

    def by_name(self, wanted: Wanted) -> list[Traced]:
        """The logs of pods; empty where there are none."""
        places = list(self._places(wanted))
        found = _merged(places, self._stored(wanted, places))
        return _runs(found, wanted.runs)

    def by_record(self, record: str) -> Traced:
        """The log of STREAM_ID:POSITION; raises KelpError where there is none."""
        if self.store is None:
            raise KelpError("a record is found by its store: --record needs a server")
        found = self.store.of_record(record).instances
        if not found:
            raise KelpError(
                f"no stream of the record {record} is stored; "
                "`kelp logs -o json` prints each record's id"
            )
        places = self._same_place(found[0])
        return next(t for t in _merged(places, found) if t.stored is not None)

    def by_path(self, path: Path) -> tuple[Traced, Path]:
        """(the log of a file, the file itself); raises KelpError where it is nobody's."""
        for place, file in (*self._leading_to(path), *self._behind(path)):
            stored = [] if self.store is None else self._stored_of(place)
            (traced,) = (t for t in _merged([place], stored) if t.place is not None)
            return traced, file
        raise KelpError(
            f"expected a container's log ({self.agent.pods_dir}/NAMESPACE_POD_UID/CONTAINER/N.log, "
            f"a rotated file of it, or a link to it) or a file of agent.files; got {path}"
        )

    # --- on this node

    def _leading_to(self, path: Path) -> Iterator[tuple[Place, Path]]:
        """The log of a file or of a link, with the file's name in it."""
        for hop in hops(path):
            place = self._place_of(hop)
            if place is not None:
                yield place, hop

    def _behind(self, path: Path) -> Iterator[tuple[Place, Path]]:
        """The log of a file in a folder of docker's own, by the kubelet's link that leads there."""
        path = next(iter(hops(path)))
        root = Path(self.agent.containers_dir)
        for name in self._listed(root) if root.is_dir() else ():
            target = list(hops(root / name))[-1]
            if target.parent == path.parent:
                for place, hop in self._leading_to(root / name):
                    yield place, hop if target == path else path

    def _places(self, wanted: Wanted) -> Iterator[Place]:
        root = Path(self.agent.pods_dir)
        names = self._listed(root, "this is no node, or its pods' logs are elsewhere: --pods-dir")
        pods = {n: pod for n in names if (pod := parse_pod_folder(n)) is not None}
        fits = _pod_fits(wanted, pods.values())
        container_fits = _fits(wanted.container)
        for name, pod in pods.items():
            if not fits(pod):
                continue
            for container in self._listed(root / name):
                if container_fits(container) and (root / name / container).is_dir():
                    naming = PodNaming(pod, container, self.agent.node, self.agent.cluster)
                    yield from self._places_in(root / name / container, naming)
        yield from self._linked_places(wanted)

    def _linked_places(self, wanted: Wanted) -> Iterator[Place]:
        """Logs that links alone lead to."""
        found = [p for folder, naming in linked_logs(self.agent)
                 for p in self._places_in(folder, naming)]  # fmt: skip
        pods = [_pod_of(p) for p in found]
        fits, container_fits = _pod_fits(wanted, pods), _fits(wanted.container)
        for place, pod in zip(found, pods, strict=True):
            if fits(pod) and container_fits(place.instance.labels.get("container", "")):
                yield place

    def _places_in(self, folder: Path, naming: Naming) -> Iterator[Place]:
        try:
            logs = logs_in(folder, naming)
        except OSError as e:
            self._note(folder, e)
            return
        for log, names in logs.items():
            yield Place(folder, naming, log, tuple(names))

    def _place_of(self, path: Path) -> Place | None:
        """The log that a path is a file of, whether it is still there or not."""
        pod, log = parse_pod_folder(path.parent.parent.name), parse_log_name(path.name)
        if pod is not None and log is not None:
            return self._one_place(path, PodNaming(
                pod, path.parent.name, self.agent.node, self.agent.cluster
            ), log)  # fmt: skip
        namings = [naming for folder, naming in linked_logs(self.agent) if folder == path.parent]
        tree = FileTree(self.agent.files, self.agent.node, self.agent.cluster)
        found = tree.place(str(path.parent))
        for naming in [*namings, *([found[1]] if found is not None else [])]:
            name = naming.parse(path.name)
            if name is not None:
                return self._one_place(path, naming, name)
        return None

    def _one_place(self, path: Path, naming: Naming, log: LogName) -> Place:
        try:
            logs = logs_in(path.parent, naming)
        except FileNotFoundError:
            logs = {}
        except OSError as e:
            self._note(path.parent, e)
            logs = {}
        return Place(path.parent, naming, log.restart, tuple(logs.get(log.restart, ())))

    def _same_place(self, stored: StoredInstance) -> list[Place]:
        """Where the files of a stored instance are here, if they are of this node."""
        labels = stored.labels
        if labels.get("filename") and not labels.get("pod"):
            place = self._place_of(Path(labels["filename"]))
            here = labels.get("node") == self.agent.node
            return [place] if place is not None and here and place.names else []
        if not labels.get("pod_uid"):
            return []
        name = "_".join(labels.get(n, "") for n in ("namespace", "pod", "pod_uid"))
        folder = Path(self.agent.pods_dir) / name / labels.get("container", "")
        log = self._place_of(folder / f"{labels.get('restart', '0')}.log")
        return [log] if log is not None and log.names else []

    def _listed(self, folder: Path, advice: str = "") -> list[str]:
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208 - names alone
        except OSError as e:
            self._note(folder, e, advice)
            return []

    def _note(self, path: Path, error: OSError, advice: str = "") -> None:
        if isinstance(error, PermissionError):
            advice = "run as root"
        self.notes.append(f"{path}: {error.strerror or error}{f'; {advice}' if advice else ''}")

    # --- in the store

    def _stored(self, wanted: Wanted, places: Sequence[Place]) -> list[StoredInstance]:
        if self.store is None:
            return []
        runs = {"newest": 1, "previous": 2}.get(wanted.runs, 0)
        # Of pods alone, also where a pattern would fit an empty name.
        matchers = [Matcher("pod", "=~", ".+")]
        if wanted.namespace:
            matchers.append(Matcher("namespace", "=", wanted.namespace))
        if wanted.container:
            matchers.append(Matcher("container", "=~", wanted.container))
        target = wanted.target
        if target is None:
            return self._asked(matchers, runs)
        if target.exact:
            found = self._asked([*matchers, Matcher("pod", "=", target.exact)], runs)
            here = any(p.instance.labels.get("pod") == target.exact for p in places)
            if found or here:
                return found
        return self._asked([*matchers, Matcher("pod", "=~", target.pattern)], runs)

    def _stored_of(self, place: Place) -> list[StoredInstance]:
        labels = place.instance.labels
        names = [n for n in _KEY if labels.get(n) and (n != "filename" or "pod" not in labels)]
        found = self._asked([Matcher(n, "=", labels[n]) for n in names])
        if place.of_container:
            return found
        # Every node has a file of that name.
        mine = [s for s in found if s.labels.get("node") == self.agent.node]
        return mine or (found if len(found) == 1 else [])

    def _asked(self, matchers: Sequence[Matcher], runs: int = 0) -> list[StoredInstance]:
        assert self.store is not None
        answer = self.store.instances(matchers, MAX_INSTANCES, runs)
        if answer.more:
            self.notes.append(
                f"more than {MAX_INSTANCES} runs of containers fit; name a pod, or -n and -c"
            )
        return answer.instances


def _pod_of(place: Place) -> PodFolder:
    labels = place.instance.labels
    return PodFolder(*(labels.get(n, "") for n in ("namespace", "pod", "pod_uid")))


def key_of(labels: Mapping[str, str]) -> Key:
    """What a log is told by."""
    known = instance_labels(labels)
    return tuple(known.get(n, "") for n in _KEY)


def _merged(places: Sequence[Place], stored: Sequence[StoredInstance]) -> list[Traced]:
    of_store = {key_of(s.labels): s for s in stored}
    found: dict[Key, Traced] = {}
    for place in places:
        labels = instance_labels(place.instance.labels)
        one = of_store.get(key_of(labels))
        found[key_of(labels)] = Traced(one.labels if one else labels, place, one)
    for key, one in of_store.items():
        found.setdefault(key, Traced(one.labels, None, one))
    return [found[key] for key in sorted(found, key=_order)]


def _order(key: Key) -> tuple[object, ...]:
    restart = key[_KEY.index("restart")]
    return (*key[:4], int(restart) if restart.isdecimal() else 0, *key[4:])


def _runs(found: Sequence[Traced], which: str) -> list[Traced]:
    """Of each container all runs, the newest, or the one before it."""
    if which == "all":
        return list(found)
    groups: dict[Key, list[Traced]] = {}
    for one in found:
        groups.setdefault(key_of(one.labels)[:4], []).append(one)
    at = -1 if which == "newest" else -2
    return [runs[at] for runs in groups.values() if len(runs) >= -at]


def _pod_fits(wanted: Wanted, pods: Iterable[PodFolder]) -> Callable[[PodFolder], bool]:
    known = list(pods)
    target, namespace = wanted.target, wanted.namespace
    names = {p.pod for p in known if not namespace or p.namespace == namespace}
    if target is None:
        name_fits: Callable[[str], bool] = lambda _name: True  # noqa: E731
    elif target.exact and target.exact in names:
        name_fits = target.exact.__eq__
    else:
        name_fits = _fits(target.pattern)
    return lambda pod: (not namespace or pod.namespace == namespace) and name_fits(pod.pod)


def _fits(pattern: str) -> Callable[[str], bool]:
    """Whether a whole name fits a pattern (RE2); an empty one fits all."""
    if not pattern:
        return lambda _name: True
    compiled = re2.compile(pattern)
    return lambda name: compiled.fullmatch(name) is not None
