"""The tree of a template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


class TemplateError(Exception):
    """The template is wrong, or cannot be run on these values; the text is Go's."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, string, boolean or nil."""

    value: Any


@dataclass(frozen=True, slots=True)
class Dot:
    """The current value."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`; `$` alone is the value that the template was given."""

    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function's name; its arguments are the rest of the command."""

    name: str


@dataclass(frozen=True, slots=True)
class Fields:
    """`operand.a.b`."""

    operand: Operand
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """Operands one after the other; the first may be called with the others."""

    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by bars, and the variables that take the result."""

    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


Operand: TypeAlias = Constant | Dot | Variable | Function | Fields | Pipeline


@dataclass(frozen=True, slots=True)
class Action:
    """`{{pipeline}}`."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`, with what to do else."""

    kind: str
    pipeline: Pipeline
    body: Body
    otherwise: Body


@dataclass(frozen=True, slots=True)
class Leave:
    """`break` or `continue`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Call:
    """`template "name" pipeline`."""

    name: str
    pipeline: Pipeline | None


Node: TypeAlias = Text | Action | Branch | Leave | Call
Body: TypeAlias = tuple[Node, ...]
