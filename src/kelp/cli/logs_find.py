"""What there is: pods by name, runs of containers, and names that come near a wrong one."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kelp.cli.client import Client
from kelp.cli.logs_items import ContainerKey
from kelp.cli.logs_select import Matcher, Target, selector

# In an error; enough to see one's mistake.
SHOWN_NAMES = 8


@dataclass(frozen=True, order=True)
class ContainerRun:
    """One run of one container that has stored logs."""

    namespace: str
    pod: str
    pod_uid: str
    container: str
    restart: int

    def matchers(self) -> list[Matcher]:
        """The conditions that select it and nothing else."""
        values = {"namespace": self.namespace, "pod": self.pod, "pod_uid": self.pod_uid,
                  "container": self.container, "restart": str(self.restart)}  # fmt: skip
        return [Matcher(label, "=", value) for label, value in values.items()]

    @property
    def container_key(self) -> ContainerKey:
        """The container, whichever the run."""
        return self.namespace, self.pod, self.pod_uid, self.container


class Finder:
    """Asks a server what logs there are."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def label_values(self, label: str, matchers: Sequence[Matcher] = ()) -> list[str]:
        """The values of a label among streams that fit, of all time."""
        query = {"query": selector(matchers)} if matchers else {}
        answer = self._client.get(f"/loki/api/v1/label/{label}/values", {"start": "0", **query})
        return list(answer.get("data") or [])

    def pod_matcher(self, target: Target, matchers: Sequence[Matcher]) -> Matcher:
        """The condition for the pods that are meant: the exact name where such a pod exists."""
        if target.exact:
            exact = Matcher("pod", "=", target.exact)
            if self.label_values("pod", [*matchers, exact]):
                return exact
        return Matcher("pod", "=~", target.pattern)

    def runs(self, matchers: Sequence[Matcher]) -> list[ContainerRun]:
        """The runs of containers among streams that fit, of all time."""
        params = {"match[]": selector(matchers), "start": "0"}
        found = self._client.get("/loki/api/v1/series", params).get("data") or []
        return sorted({run_of(labels) for labels in found if labels.get("container")})

    def nothing_found(self, target: Target | None, namespace: str) -> str:
        """Why there is nothing: what of the namespace or the pod's name is not known."""
        namespaces = self.label_values("namespace")
        if namespace and namespace not in namespaces:
            return f'no logs of a namespace "{namespace}"{_near(namespace, namespaces)}'
        where = f" in namespace {namespace}" if namespace else ""
        if target is None:
            return f"no logs{where} fit"
        pods = self.label_values("pod", [Matcher("namespace", "=", namespace)] if namespace else [])
        name = target.text.rpartition("/")[2]
        return f'no logs of a pod{where} fit "{target.text}"{_near(name, pods)}'


def previous_runs(runs: Sequence[ContainerRun]) -> list[ContainerRun]:
    """Of each container the run before its newest; of those that ran once, none."""
    by_container: dict[ContainerKey, list[ContainerRun]] = defaultdict(list)
    for run in sorted(runs):
        by_container[run.container_key].append(run)
    return [runs[-2] for runs in by_container.values() if len(runs) > 1]


def run_of(labels: Mapping[str, str]) -> ContainerRun:
    """The run that a stream or a record belongs to."""
    restart = labels.get("restart", "")
    return ContainerRun(
        labels.get("namespace", ""),
        labels.get("pod", ""),
        labels.get("pod_uid", ""),
        labels.get("container", ""),
        int(restart) if restart.isdecimal() else 0,
    )


def _near(name: str, known: Sequence[str]) -> str:
    if not known:
        return "; there are none at all yet"
    near = sorted(difflib.get_close_matches(name, known, n=SHOWN_NAMES, cutoff=0.5))
    near = near or [k for k in known if name and k.startswith(name[:3])][:SHOWN_NAMES]
    if near:
        return f"; near it: {', '.join(near)}"
    rest = len(known) - SHOWN_NAMES
    more = f" and {rest} more" if rest > 0 else ""
    return f"; there are: {', '.join(sorted(known)[:SHOWN_NAMES])}{more}"
