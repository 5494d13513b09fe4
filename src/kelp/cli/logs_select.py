"""Which logs are meant: the habits of kubectl and stern, said in LogQL.

    web-0, pod/web-0                 that pod
    web, '^web-\\d$'                  pods whose name fits the pattern (RE2), as stern
    deployment/web, sts/db, job/x …  the pods that such a workload makes, by their names
    -l app=web,tier!=x               labels, in kubectl's syntax

Pure: whether such pods exist is asked in kelp.cli.logs_find. A workload's pods are told by name,
for that is all that a path under /var/log/pods says of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import re2

from kelp.base.errors import KelpError

# The letters of generated names: k8s.io/apimachinery/pkg/util/rand
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
_SUFFIX = f"-{_SAFE}{{5}}"

# Kind → what follows the workload's name in its pods' names.
_POD_NAME_END = {
    "pod": "",
    "deployment": f"-{_SAFE}{{5,10}}{_SUFFIX}",
    "replicaset": _SUFFIX,
    "statefulset": r"-\d+",
    "daemonset": _SUFFIX,
    "job": rf"(?:-\d+)?{_SUFFIX}",
    "cronjob": rf"-\d+(?:-\d+)?{_SUFFIX}",
    "replicationcontroller": _SUFFIX,
}
_SHORT = {
    "po": "pod", "deploy": "deployment", "rs": "replicaset", "sts": "statefulset",
    "ds": "daemonset", "cj": "cronjob", "rc": "replicationcontroller",
}  # fmt: skip
# generateName is cut here, before the five letters: k8s.io/apiserver/pkg/storage/names
_MAX_BASE = 58

_REQUIREMENT = re.compile(
    r"\s*(?:"
    r"(?P<key_in>[^\s!=(),]+)\s+(?P<in>in|notin)\s*\((?P<values>[^()]*)\)"
    r"|(?P<key>[^\s!=(),]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=(),]*)"
    r"|(?P<not>!)?\s*(?P<exists>[^\s!=(),]+)"
    r")\s*(?:,|$)"
)


@dataclass(frozen=True)
class Matcher:
    """One condition of a LogQL selector."""

    label: str
    op: str  # = != =~ !~
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.op}{quote(self.value)}"


@dataclass(frozen=True)
class Target:
    """The pods that were named: by exact name, or by a pattern of names."""

    text: str
    exact: str = ""  # a name that is meant where a pod of that name exists
    pattern: str = ""  # RE2, anchored at both ends


def parse_target(text: str) -> Target:
    """`web-0`, `pod/web-0`, `deployment/web`, `deployments.apps/web` or a pattern of pod names."""
    if "{" in text and "}" in text and "(" in text:
        raise KelpError(
            f"expected a pod, a workload or a log query that begins with {{; got {text}: "
            "is it a query for numbers? `kelp query` answers those"
        )
    kind, slash, name = text.partition("/")
    if not slash:
        check_pattern("POD", text)
        return Target(text, exact=text, pattern=f".*(?:{text}).*")
    end = _POD_NAME_END.get(_kind(kind))
    if end is None or not name or "/" in name:
        raise KelpError(
            f'expected KIND/NAME with a KIND of {", ".join(_POD_NAME_END)}; got "{text}"'
        )
    return Target(text, pattern=f"{re2.escape(name[:_MAX_BASE])}{end}")


def _kind(word: str) -> str:
    kind = word.partition(".")[0].lower()  # deployments.v1.apps
    kind = _SHORT.get(kind, kind)
    return kind if kind in _POD_NAME_END else kind.removesuffix("s")


def parse_label_selector(text: str) -> list[Matcher]:
    """kubectl's -l: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`; all must hold.

    Labels are called as in Loki: what is no letter, digit or underscore in a key is `_`.
    Grammar: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
    """
    matchers, at = [], 0
    while at < len(text):
        match = _REQUIREMENT.match(text, at)
        if not match:
            raise KelpError(
                "expected a label selector such as app=web,tier!=db,env in (a,b),!canary; "
                f'got "{text[at:]}"'
            )
        matchers.append(_requirement(match))
        at = match.end()
    return matchers


def _requirement(match: re.Match[str]) -> Matcher:
    if match["key_in"]:
        values = "|".join(re2.escape(v.strip()) for v in match["values"].split(","))
        return Matcher(_label(match["key_in"]), "=~" if match["in"] == "in" else "!~", values)
    if match["key"]:
        return Matcher(_label(match["key"]), "!=" if match["op"] == "!=" else "=", match["value"])
    return Matcher(_label(match["exists"]), "=" if match["not"] else "!=", "")


def _label(key: str) -> str:
    name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
    return f"_{name}" if name[0].isdigit() else name


def check_pattern(option: str, pattern: str) -> None:
    """Raises KelpError where the pattern is no RE2."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as e:
        reason = e.args[0].decode() if isinstance(e.args[0], bytes) else e.args[0]
        raise KelpError(f'{option}: expected a pattern (RE2); got "{pattern}": {reason}') from None


def selector(matchers: Sequence[Matcher]) -> str:
    """A LogQL selector; one that selects every pod where there is no condition that could."""
    could_be_empty = all((m.op in ("!=", "!~") and m.value != "") or not m.value for m in matchers)
    base = [Matcher("pod", "=~", ".+")] if could_be_empty else []
    return "{" + ", ".join(str(m) for m in [*base, *matchers]) + "}"


def line_filters(include: Iterable[str], exclude: Iterable[str]) -> str:
    """LogQL line filters: a line that fits any of `include` and none of `exclude`."""
    included = "|".join(f"(?:{p})" for p in include)
    wanted = [f" |~ {quote(included)}"] if included else []
    return "".join([*wanted, *(f" !~ {quote(p)}" for p in exclude)])


def quote(text: str) -> str:
    """A LogQL string; in backticks where that spares escapes."""
    if "\\" in text and "`" not in text and "\n" not in text:
        return f"`{text}`"
    return json.dumps(text, ensure_ascii=False)
