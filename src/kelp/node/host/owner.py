"""Whose a process or a cgroup is: pod, container or systemd unit, by its cgroup's path."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

from kelp.base.cgroup import Place, QosClass, locate, unit_of
from kelp.base.podnames import PodNames
from kelp.node.host.reading import Notes

_DELETED = " (deleted)"  # how cgroup v2 shows the path of a zombie whose cgroup is gone


class Owner(Struct, kw_only=True):
    """Names and ids of pod and container; all None for what is of none of them.

    `namespace`, `pod` and `container` are None where only the ids are known. `unit` is the systemd
    service of what is in no container.
    """

    namespace: str | None = None
    pod: str | None = None
    pod_uid: str | None = None
    container: str | None = None
    container_id: str | None = None
    qos_class: QosClass | None = None
    runtime: str | None = None
    unit: str | None = None

    @property
    def known(self) -> bool:
        """Whether it is of a pod or a container."""
        return self.pod_uid is not None or self.container_id is not None


NOBODY = Owner()

T = TypeVar("T", bound=Owner)


def owned(item: T, owner: Owner) -> T:
    """Write an owner into a record that has an owner's fields; the record."""
    for name in Owner.__struct_fields__:
        setattr(item, name, getattr(owner, name))
    return item


class Owners:
    """Looks owners up, each path once."""

    def __init__(self, names: PodNames) -> None:
        self._names = names
        self._known: dict[str, Owner] = {}
        self._unnamed: set[str] = set()

    def of_path(self, path: str | None) -> Owner:
        """The owner of a cgroup."""
        if not path:
            return NOBODY
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._of(path)
        return found

    def tell(self, notes: Notes) -> None:
        """Note the pods that no folder names."""
        notes.count("pods go by their uid: no folder of --pods-dir names them", len(self._unnamed))

    def _of(self, path: str) -> Owner:
        place = locate(path)
        if place.pod_uid is None and place.container_id is None:
            return Owner(unit=unit_of(path))
        name = self._names.pod(place.pod_uid)
        if name is None and place.pod_uid is not None:
            self._unnamed.add(place.pod_uid)
        return Owner(
            namespace=name.namespace if name else None,
            pod=name.pod if name else None,
            pod_uid=place.pod_uid,
            container=self._names.container(place.container_id),
            container_id=place.container_id,
            qos_class=place.qos_class,
            runtime=place.runtime,
        )


def cgroup_of(table: str) -> str | None:
    """The path out of /proc/PID/cgroup that says most: a container's, else a service's, else any.

    A process has a path in each hierarchy of v1 and one in v2, and they need not agree: some
    runtimes leave the root in those that they do not use.
    """
    paths = [_path(line) for line in table.splitlines() if line.count(":") >= 2]
    best = max(paths, key=_weight, default=None)
    return best or None


def _path(line: str) -> str:
    return line.split(":", 2)[2].removesuffix(_DELETED)


def _weight(path: str) -> tuple[bool, bool, bool, bool]:
    place: Place = locate(path)
    return (
        place.container_id is not None,
        place.pod_uid is not None,
        unit_of(path) is not None,
        path not in ("/", ""),
    )
