"""Whose problem it is, where a service of the node speaks of a pod: namespace, pod, container.

Forms: klog's structured text (`pod="shop/web-1"`, `containerName="app"`), the same as JSON
(`"pod":{"name":"web-1","namespace":"shop"}`), format.Pod of older kubelets (`web-1_shop(UID)`), and
what the runtimes quote (`&PodSandboxMetadata{Name:web-1,…,Namespace:shop,…}`).
"""

from __future__ import annotations

from functools import cache

import re2

from kelp.base.problems.rule import PREFIX

_OPTIONS = re2.Options()
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
_OPTIONS.max_mem = 1 << 20
_DNS = r"[a-z0-9][a-z0-9.-]*"
_UID = r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"

# Each names what it finds; the first that fits says most.
_PODS = (
    rf'\bpod="(?P<namespace>{_DNS})/(?P<pod>{_DNS})"',
    rf'"pods?":"?\{{"name":"(?P<pod>{_DNS})","namespace":"(?P<namespace>{_DNS})"',
    rf'"pod":"(?P<namespace>{_DNS})/(?P<pod>{_DNS})"',
    rf"\b(?P<pod>{_DNS})_(?P<namespace>{_DNS})\((?P<pod_uid>{_UID})\)",
    rf"PodSandboxMetadata\{{Name:(?P<pod>{_DNS}),Uid:(?P<pod_uid>{_UID}),Namespace:"
    rf"(?P<namespace>{_DNS})",
    rf'\bpod \\?"(?P<pod>{_DNS})\\?" \(UID: \\?"(?P<pod_uid>{_UID})',
)
_POD_UID = rf"podUID\W{{1,4}}(?P<pod_uid>{_UID})"
_CONTAINER = (
    rf"\bcontainerName\W{{1,5}}(?P<container>{_DNS})"
    rf"|StartContainer\W{{1,5}} for \W{{1,4}}(?P<container2>{_DNS})\W{{1,4}} with"
    rf"|\bcontainer=(?P<container3>{_DNS}) pod="
    rf"|\bcontainer (?P<container4>{_DNS}) (?:start failed|failed \w+ probe)"
)
# Enough for whatever a kubelet says; what stands behind is a stack or a probe's output.
_LOOKED_AT_BYTES = 8192


def subject_of(body: bytes) -> dict[str, str]:
    """`problem_namespace`, `problem_pod`, `problem_pod_uid`, `problem_container`, those told."""
    head = body[:_LOOKED_AT_BYTES]
    found: dict[str, str] = {}
    for pattern in _PODS:
        match = _compiled(pattern).search(head)
        if match:
            found = groups(match)
            break
    for pattern in (_POD_UID, _CONTAINER):
        match = _compiled(pattern).search(head)
        if match:
            found = groups(match) | found
    return found


@cache
def _compiled(pattern: str) -> re2._Regexp[bytes]:
    return re2.compile(pattern.encode(), _OPTIONS)


def groups(match: re2._Match[bytes]) -> dict[str, str]:
    """What a pattern's named groups caught; `name2` is another place of `name`."""
    found: dict[str, str] = {}
    for name, value in match.groupdict().items():
        if value:
            key = PREFIX + name.decode().rstrip("0123456789")
            found.setdefault(key, value.decode("utf-8", "backslashreplace"))
    return found
