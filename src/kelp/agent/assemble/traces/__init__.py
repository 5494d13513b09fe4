"""Stack traces: the lines of one become one record.

Languages are rule sets (`languages`), an automaton follows them (`machine`) over the rows of one
stream (`lane`), and only rows near evidence of a trace are looked at (`evidence`).
"""

from kelp.agent.assemble.traces.assembler import RecordAssembler, TraceAssembler
from kelp.agent.assemble.traces.joiner import TraceJoiner

__all__ = ["RecordAssembler", "TraceAssembler", "TraceJoiner"]
