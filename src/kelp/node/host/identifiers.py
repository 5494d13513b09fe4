"""The ids of this node's containers: long and random, as secrets are, and needed in a report."""

from __future__ import annotations

import os
import re

from kelp.base.cgroup import locate
from kelp.node.host.hierarchy import Hierarchy, walk
from kelp.node.host.reading import Notes, Roots

_LINK = re.compile(r"-([0-9a-f]{64})\.log$")
_MAX_LINKS = 65_536


def container_ids(roots: Roots) -> set[str]:
    """By their cgroups, and by the links to their logs; empty where neither can be read."""
    tops = Hierarchy.of(roots.sys).tops()
    places = (locate(path) for top in tops for path in walk(top, Notes()))
    found = {p.container_id for p in places if p.container_id}
    return found | _linked(roots)


def _linked(roots: Roots) -> set[str]:
    try:
        with os.scandir(roots.pods.parent / "containers") as entries:
            names = [e.name for e, _ in zip(entries, range(_MAX_LINKS), strict=False)]
    except OSError:
        return set()
    return {m[1] for m in map(_LINK.search, names) if m}
