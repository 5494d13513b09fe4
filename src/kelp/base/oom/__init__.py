"""Whom the kernel's OOM killer killed, read from the kernel's log.

    framing    lines of the file → kernel lines           line     the prefixes of one line
    wrapped    JSON and journal entries                   calendar wall time of a line
    grammar    a kernel line → an event                   events   what a line can say
    report     one OOM while it is read                   tasks    its task table
    assemble   lines of many reports → reports            kills    a report → its kills
    scan       all of it over a whole log

All of it is pure. It lies here, for the agent makes records of kills as they happen, and `kelp oom`
finds them in saved logs.

Left out here: what the API server, the runtime or a container's own log know of the same moment.
"""

from kelp.base.oom.calendar import Calendar
from kelp.base.oom.kill import Kill, TaskRow, Trigger, Usage
from kelp.base.oom.scan import Scanner, kills_in, scan

__all__ = ["Calendar", "Kill", "Scanner", "TaskRow", "Trigger", "Usage", "kills_in", "scan"]
