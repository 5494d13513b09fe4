"""The lines that the kernel prints for one OOM kill, as one record that says whom it killed.

    burst      which lines belong together, line by line
    joiner     Lines in, Lines out: what is unfinished waits, in memory and in the checkpoints
    facts      the joined lines → the record's attributes, read by kelp.base.oom
    assembler  any source's assembler with the joiner behind it
    ledger     the kills that were read, for who counts them by the cgroups' counters
    untold     kills that only a counter tells of

A task table of a thousand rows is one record, as a stack trace is. A record is one kill: where a
whole group is killed, each further victim's line is a record of its own, with what the report said
of the group.
"""

from kelp.agent.assemble.oom.assembler import OomAssembler
from kelp.agent.assemble.oom.facts import Names, bare_line, line_in_file
from kelp.agent.assemble.oom.joiner import Source
from kelp.agent.assemble.oom.ledger import KillLedger
from kelp.agent.assemble.oom.untold import UntoldKillAssembler

__all__ = [
    "KillLedger",
    "Names",
    "OomAssembler",
    "Source",
    "UntoldKillAssembler",
    "bare_line",
    "line_in_file",
]
