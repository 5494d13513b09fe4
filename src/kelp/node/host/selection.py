"""Which pods are asked for: `--namespace` and `--pod`."""

from __future__ import annotations

from msgspec import Struct

from kelp.node.host.owner import Owner


class Selection(Struct, frozen=True):
    """Empty: everything on the node, pods or not."""

    namespace: str = ""
    pod: str = ""

    @property
    def all(self) -> bool:
        """Whether nothing is left out."""
        return not (self.namespace or self.pod)

    def takes(self, owner: Owner) -> bool:
        """Whether something of this owner is asked for."""
        if self.namespace and owner.namespace != self.namespace:
            return False
        return not self.pod or self._is_pod(owner)

    def _is_pod(self, owner: Owner) -> bool:
        """By name, by uid, or by the beginning of either with `*` behind it."""
        names = [n for n in (owner.pod, owner.pod_uid) if n]
        if self.pod.endswith("*"):
            return any(n.startswith(self.pod[:-1]) for n in names)
        return self.pod in names


EVERYTHING = Selection()
