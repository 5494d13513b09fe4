"""Problems: what a line of the kernel, of a node's service or of a container tells that is broken.

    rule       what a row of the tables is
    kernel     disks, file systems, memory, network, lockups, denials, oops and panic
    node       kubelet, kube-proxy, runtimes: evictions, images, probes, mounts, certificates
    container  environment, modules, connections, names, permissions
    subject    the pod that a node's service speaks of
    finder     the tables over a batch

All of it is pure. Left out: what is a problem only by its number (a link that goes down once is
one, too), and what only the API server knows.
"""

from kelp.base.problems.finder import (
    DENIALS,
    FINDERS,
    Finder,
    Problem,
    all_rules,
    tells_of_kernel_problem,
)
from kelp.base.problems.rule import PREFIX, PROBLEM, Rule, Where

__all__ = [
    "DENIALS",
    "FINDERS",
    "PREFIX",
    "PROBLEM",
    "Finder",
    "Problem",
    "Rule",
    "Where",
    "all_rules",
    "tells_of_kernel_problem",
]
