"""Traces the slow way: from each line on, the longest run that the automaton joins."""

from __future__ import annotations

from collections.abc import Sequence

from kelp.agent.assemble.traces.lane import MAX_BORNE
from kelp.agent.assemble.traces.machine import Machine, looked_at


def groups(machine: Machine, bodies: Sequence[bytes]) -> list[range]:
    """The lines of each record; without any limit of its length."""
    found, begin = [], 0
    while begin < len(bodies):
        end = _end(machine, bodies, begin)
        found.append(range(begin, end))
        begin = end
    return found


def _end(machine: Machine, bodies: Sequence[bytes], begin: int) -> int:
    states = machine.begin(looked_at(bodies[begin]))
    end, proven = begin + 1, 0
    for at in range(begin + 1, len(bodies)):
        if not states:
            break
        states, joins = machine.step(states, looked_at(bodies[at]))
        if joins:
            end = at + 1
            proven = end - begin
        elif at + 1 - begin - proven > MAX_BORNE:
            break
    return end
