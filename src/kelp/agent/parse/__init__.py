"""Parse: what the body of a record says of itself: its severity, its problem, its stream's format.

What else is in a line (fields, ids, its own time) is computed from it when it is asked for; see
kelp.base.formats.
"""

from kelp.agent.parse.parser import Parser

__all__ = ["Parser"]
