"""label_replace: a label made from another one by a regexp."""

from __future__ import annotations

import re
from typing import Any

from kelp.server.query.logql.expressions import LabelReplace
from kelp.server.query.logql.regexps import compile_regexp
from kelp.server.query.metric.frame import Frame, Labels
from kelp.server.query.sql.text import to_bytes, to_text

# $name, ${name}, $1, $$ as Go's Regexp.Expand reads them; a pattern of ours over a short template.
_REFERENCE = re.compile(rb"\$(?:(\$)|\{(\w+)\}|(\w+))")


def label_replace(frame: Frame, node: LabelReplace) -> Frame:
    """The frame with new labels; its values stay. The regexp must match the whole value.

    Series whose labels become equal stay apart, as in Loki: a sum around adds both, a join of them
    is refused, and an answer has the values of both.
    """
    pattern = compile_regexp(node.regex, whole=False)
    whole = compile_regexp(f"^(?:{node.regex})$") if pattern else pattern
    labels = [_replaced(labels, node, whole) for labels in frame.labels]
    return Frame(labels, frame.values, frame.present)


def _replaced(labels: Labels, node: LabelReplace, pattern: Any) -> Labels:
    match = pattern.search(to_bytes(labels.get(node.src, "")))
    if match is None:
        return labels
    value = to_text(expand(to_bytes(node.replacement), match))
    out = {k: v for k, v in labels.items() if k != node.dst}
    if value:
        out[node.dst] = value
    return out


def expand(template: bytes, match: Any) -> bytes:
    """Go's Regexp.Expand: a group that is not there is empty."""
    names = match.re.groupindex

    def group(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return b"$"
        name = (found[2] or found[3]).decode()
        number = int(name) if name.isdecimal() else names.get(name, names.get(name.encode(), -1))
        if not 0 <= number <= match.re.groups:
            return b""
        return match.group(number) or b""

    return _REFERENCE.sub(group, template)
