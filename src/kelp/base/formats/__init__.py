"""Formats: how programs write their lines, and what the fields of a line are.

A format is a description, not code (see `format.Format`). The agent looks at a few lines of a
stream and names its format once (`recognise`); the name stands in the stream's labels, and the
stream's dataset follows from it. Fields are computed from the body when they are asked for, by
SQL, by the query's pipeline or by `kelp parse`, all from the same description: what is stored is
the line, once.
"""

from kelp.base.formats.format import Format
from kelp.base.formats.registry import (
    FORMATS,
    TEXT,
    UnknownFormatError,
    format_of,
    is_format,
    recognise,
)

__all__ = ["FORMATS", "TEXT", "Format", "UnknownFormatError", "format_of", "is_format", "recognise"]
