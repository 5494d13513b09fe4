"""Formats that somebody named: in the pod's annotations, or in agent.formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kelp.base.formats import TEXT, is_format
from kelp.base.glob import labels_fit
from kelp.base.settings import FormatRule
from kelp.model.raw import Instance


class NamedFormats:
    """What is named for a container or a file; the annotation goes before the configuration."""

    def __init__(self, rules: Sequence[FormatRule], annotated: Callable[[str, str], str]) -> None:
        self._rules = rules
        self._annotated = annotated

    def of(self, instance: Instance) -> str | None:
        """The format's name, empty for "of none"; None where nobody named one."""
        labels = instance.labels
        name = self._annotated(labels.get("pod_uid", ""), labels.get("container", ""))
        # A pod's author must not stop the node's agent by a slip of the pen.
        if name == TEXT or is_format(name):
            return _meant(name)
        for rule in self._rules:
            if _fits(rule, instance):
                return _meant(rule.format)
        return None


def _meant(name: str) -> str:
    return "" if name == TEXT else name


def _fits(rule: FormatRule, instance: Instance) -> bool:
    return labels_fit(
        instance.labels,
        namespace=rule.namespace,
        pod=rule.pod,
        container=rule.container,
        filename=rule.filename,
    )
