r"""The severity of klog's JSON, which has no key for it: zapr writes `v` for messages alone.

    {"ts":1795169472123.4,"caller":"a.go:1","msg":"started","v":0}                    info
    {"ts":1795169472123.4,"caller":"a.go:1","msg":"failed","err":"refused"}           error

Format: https://kubernetes.io/docs/concepts/cluster-administration/system-logs/#json-log-format
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from kelp.base.severity.bodies import Bodies, flags
from kelp.base.severity.words import Answer
from kelp.model.severity import NUMBER_OF_WORD

_STRING = r'"(?:[^"\\]|\\.)*"'
_BEGINS = rf'^[ \t]*\{{"ts":[0-9.e+]+,(?:"(?:caller|logger|msg)":{_STRING},)*'
# Inside of a string the quotes have backslashes before them.
PATTERNS = (
    (rf'{_BEGINS}"v":[0-9]', NUMBER_OF_WORD["info"]),
    (rf'{_BEGINS}(?:(?s:.*),)?"err":"', NUMBER_OF_WORD["error"]),
)


def settle_klog_json(answer: Answer, bodies: Bodies) -> None:
    """Settle those that begin like klog's; their severity has no text."""
    for pattern, number in PATTERNS:
        left = np.flatnonzero(answer.number[bodies.rows] == 0)
        if not len(left):
            return
        some = bodies.some(left)
        matched = flags(pc.match_substring_regex(some.array, pattern))
        answer.number[some.rows[matched]] = number
