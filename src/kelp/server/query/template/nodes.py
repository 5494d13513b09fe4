"""The tree of a template.

A node knows where it stands, for Go's errors say so: its offset in the template's text, which is no
part of what it means and so counts in no comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kelp.server.query.logql.literals import quote


class TemplateError(Exception):
    """The template is wrong, or cannot be run on these values; the text is Go's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """`at` is an offset in characters."""

    at: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant(Placed):
    """A number, string, boolean or nil; `spelled` as the template has it."""

    value: Any
    spelled: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Dot(Placed):
    """The current value."""


@dataclass(frozen=True, slots=True)
class Variable(Placed):
    """`$name`; `$` alone is the value that the template was given."""

    name: str


@dataclass(frozen=True, slots=True)
class Function(Placed):
    """A function's name; its arguments are the rest of the command."""

    name: str


@dataclass(frozen=True, slots=True)
class Fields(Placed):
    """`operand.a.b`."""

    operand: Operand
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command(Placed):
    """Operands one after the other; the first may be called with the others."""

    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline(Placed):
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
class Call(Placed):
    """`template "name" pipeline`."""

    name: str
    pipeline: Pipeline | None


Node: TypeAlias = Text | Action | Branch | Leave | Call
Body: TypeAlias = tuple[Node, ...]


def spelling(node: Operand | Command | Call) -> str:
    """A node as Go's parser prints it: with one blank where the text may have many."""
    match node:
        case Constant():
            return node.spelled
        case Dot():
            return "."
        case Variable() | Function():
            return node.name
        case Fields():
            return f"{_owner(node.operand)}.{'.'.join(node.names)}"
        case Command():
            return " ".join(_part(operand) for operand in node.operands)
        case Pipeline():
            commands = " | ".join(map(spelling, node.commands))
            sign = " := " if node.declares else " = "
            return ", ".join(node.variables) + sign * bool(node.variables) + commands
        case Call():
            pipeline = f" {spelling(node.pipeline)}" if node.pipeline else ""
            return f"{{{{template {quote(node.name)}{pipeline}}}}}"


def _part(operand: Operand) -> str:
    inner = spelling(operand)
    return f"({inner})" if isinstance(operand, Pipeline) else inner


def _owner(operand: Operand) -> str:
    return "" if isinstance(operand, Dot) else _part(operand)
