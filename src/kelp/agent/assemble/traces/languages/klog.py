r"""klog: messages and values of more than one line.

    I1120 10:11:12.123456   1042 flags.go:79] This is a message
    which has a line break.
    E1120 10:11:12.123456   1042 raw.go:63] "List failed" err=<
    \tcannot open
    \tthe database
     > pod="shop/web-0"
    I1120 10:11:12.123456   1042 x.go:1] "Example" some={First: 1,
    Second: 2}

What follows a message without quotes belongs to it until a logger's line comes; behind a quoted
message (structured logging) only what klog itself has broken does.

Format: https://github.com/kubernetes/klog, internal/serialize/keyvalues.go.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.rules import Language, begin, joins, text

_HEAD = rb"^[IWEF][01]\d[0-3]\d \d\d:\d\d:\d\d\.\d{6} +\d+ [^\]]+\] "

KLOG = Language(
    starts=(
        begin(_HEAD + rb'(?:[^"].*)?$', "klog.message"),
        begin(_HEAD + rb'".*=<$', "klog.value"),
        begin(_HEAD + rb'".*=\{[^}]*$', "klog.braces"),
    ),
    states={
        "klog.message": (text("klog.message"),),
        "klog.value": (
            joins(rb"^\t", "klog.value"),
            joins(rb"^ >.*=<$", "klog.value"),
            joins(rb"^ >"),
        ),
        "klog.braces": (joins(rb"^[^{]*\}"), text("klog.braces")),
    },
)
