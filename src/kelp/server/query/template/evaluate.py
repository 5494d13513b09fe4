"""Running a template's tree over a value. Model: text/template/exec.go.

As there, the evaluation remembers the node that it came to last, and an error names it.

A template is somebody's program: it is bounded in its output, in the texts that it makes on the
way, and in its loops; and what bounds the query around it (`check`) is asked while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from kelp.server.query.template import nodes
from kelp.server.query.template.nodes import TemplateError
from kelp.server.query.template.printing import shown, type_name
from kelp.server.query.template.times import Time
from kelp.server.query.template.typed import ArgumentError, signature_of

MAX_OUTPUT = 1 << 20  # characters of one line or label; a loop over a repeated text ends here
MAX_TEXT = 4 << 20  # characters of a text on the way there: doubled in a loop, it would have no end
_MAX_CALLS = 100  # templates that call templates
_MAX_TURNS = 100_000  # of all loops of one run: `range` over a number needs no data to go on
_CHECK_EVERY = 64  # turns and calls

Function = Callable[..., Any]
Check = Callable[[], None]
Trodden: TypeAlias = nodes.Operand | nodes.Command | nodes.Call


class _Break(Exception):  # noqa: N818 - control flow, as Go's walkBreak
    pass


class _Continue(Exception):  # noqa: N818 - control flow, as Go's walkContinue
    pass


def truth(value: Any) -> bool:
    """What `if` makes of a value: its zero value and emptiness are false."""
    if isinstance(value, Time):
        return True
    return bool(value)


class Evaluation:
    """One run."""

    def __init__(
        self, functions: Mapping[str, Function], defined: Mapping[str, nodes.Body], data: Any,
        check: Check,
    ) -> None:  # fmt: skip
        """`check` raises where the query must not go on; it is called now and then."""
        self._functions = functions
        self._defined = defined
        self._check = check
        self._steps = 0
        self.node: Trodden | None = None  # that was come to last
        self.within = ""  # the defined template that this is in; empty: the whole one
        self._variables: list[tuple[str, Any]] = [("$", data)]
        self._out: list[str] = []
        self._size = 0
        self._calls = 0
        self._turns = 0

    def run(self, body: nodes.Body, dot: Any) -> str:
        """The output; TemplateError where a value does not fit."""
        self._check()
        self._body(body, dot)
        return "".join(self._out)

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_OUTPUT:
            raise TemplateError(f"output is longer than {MAX_OUTPUT} characters")
        self._out.append(text)

    def _body(self, body: nodes.Body, dot: Any) -> None:
        for node in body:
            match node:
                case nodes.Text():
                    self._write(node.text)
                case nodes.Action():
                    value = self._pipeline(node.pipeline, dot)
                    if not node.pipeline.variables:
                        self._write(shown(value))
                case nodes.Branch():
                    self._branch(node, dot)
                case nodes.Leave():
                    raise _Break if node.kind == "break" else _Continue
                case nodes.Call():
                    self._call_template(node, dot)

    def _branch(self, node: nodes.Branch, dot: Any) -> None:
        mark = len(self._variables)
        if node.kind == "range":
            self._range(node, dot)
        else:
            value = self._pipeline(node.pipeline, dot)
            if truth(value):
                self._body(node.body, value if node.kind == "with" else dot)
            else:
                self._body(node.otherwise, dot)
        del self._variables[mark:]

    def _range(self, node: nodes.Branch, dot: Any) -> None:
        pipeline = nodes.Pipeline(node.pipeline.commands)
        names = node.pipeline.variables
        ran = False
        for index, value in _items(self._pipeline(pipeline, dot)):
            ran = True
            self._turn()
            mark = len(self._variables)
            bound = (index, value) if len(names) == 2 else (value,)
            for name, one in zip(names, bound, strict=False):
                self._bind(name, one, declares=node.pipeline.declares)
            try:
                self._body(node.body, value)
            except _Break:
                break
            except _Continue:
                continue
            finally:
                del self._variables[mark:]
        if not ran:
            self._body(node.otherwise, dot)

    def _turn(self) -> None:
        self._turns += 1
        if self._turns > _MAX_TURNS:
            raise TemplateError(f"its loops turn more than {_MAX_TURNS} times")
        self._step()

    def _step(self) -> None:
        self._steps += 1
        if not self._steps % _CHECK_EVERY:
            self._check()

    def _call_template(self, node: nodes.Call, dot: Any) -> None:
        self.node = node
        body = self._defined.get(node.name)
        if body is None:
            raise TemplateError(f'template "{node.name}" not defined')
        self._calls += 1
        if self._calls > _MAX_CALLS:
            raise TemplateError(f"exceeded maximum template depth ({_MAX_CALLS})")
        inner = self._pipeline(node.pipeline, dot) if node.pipeline else None
        saved, self._variables = (self._variables, self.within), [("$", inner)]
        self.within = node.name
        self._body(body, inner)
        self._variables, self.within = saved

    # --- values -------------------------------------------------------------------

    def _bind(self, name: str, value: Any, *, declares: bool) -> None:
        if declares:
            self._variables.append((name, value))
            return
        for i in range(len(self._variables) - 1, -1, -1):
            if self._variables[i][0] == name:
                self._variables[i] = (name, value)
                return

    def _pipeline(self, pipeline: nodes.Pipeline, dot: Any) -> Any:
        self.node = pipeline
        value: Any = None
        for i, command in enumerate(pipeline.commands):
            value = self._command(command, dot, [value] if i else [])
        for name in pipeline.variables:
            self._bind(name, value, declares=pipeline.declares)
        return value

    def _command(self, command: nodes.Command, dot: Any, last: list[Any]) -> Any:
        first, *rest = command.operands
        if isinstance(first, nodes.Function):
            return self._call(first, rest, dot, last, command)
        if isinstance(first, nodes.Fields) and (rest or last):
            return self._method(first, rest, dot, last)
        self.node = first
        if rest or last:
            raise TemplateError(f"can't give argument to non-function {nodes.spelling(first)}")
        if isinstance(first, nodes.Constant) and first.value is None:
            raise TemplateError("nil is not a command")
        return self._operand(first, dot)

    def _operand(self, operand: nodes.Operand, dot: Any) -> Any:
        self.node = operand
        match operand:
            case nodes.Constant():
                return operand.value
            case nodes.Dot():
                return dot
            case nodes.Variable():
                return self._variable(operand.name)
            case nodes.Function():
                return self._call(operand, [], dot, [], operand)
            case nodes.Pipeline():
                return self._pipeline(operand, dot)
            case nodes.Fields():
                return self._fields(operand, operand.names, dot)

    def _variable(self, name: str) -> Any:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise TemplateError(f"undefined variable: {name}")

    def _fields(self, operand: nodes.Fields, names: Sequence[str], dot: Any) -> Any:
        value = self._operand(operand.operand, dot)
        self.node = operand
        for name in names:
            value = _field(value, name)
        return value

    def _call(
        self, function: nodes.Function, operands: list[nodes.Operand], dot: Any, last: list[Any],
        command: Trodden,
    ) -> Any:  # fmt: skip
        name, called = function.name, self._functions[function.name]
        self.node = function
        self._step()
        signature_of(called).check_count(name, len(operands), piped=bool(last))
        if name in ("and", "or"):
            return self._short_circuit(name, operands, dot, last)
        arguments = [self._operand(o, dot) for o in operands] + last
        try:
            result = called(*arguments)
        except ArgumentError as e:
            raise self._misfit(e, operands) from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as e:
            self.node = command
            # What Python says of types is about its own functions, and nothing that users know.
            why = "wrong types of arguments" if isinstance(e, TypeError) else str(e)
            raise TemplateError(f"error calling {name}: {why}") from None
        if isinstance(result, str) and len(result) > MAX_TEXT:
            self.node = command
            raise TemplateError(f"error calling {name}: more than {MAX_TEXT} characters")
        return result

    def _misfit(self, error: ArgumentError, operands: list[nodes.Operand]) -> TemplateError:
        """An argument of a type that the function does not take; a constant is told as it is."""
        if error.index < len(operands):
            operand = self.node = operands[error.index]
            if isinstance(operand, nodes.Constant):
                if operand.value is None:
                    return TemplateError(f"cannot assign nil to {error.expected}")
                return TemplateError(f"expected {error.kind}; found {operand.spelled}")
        return TemplateError(str(error))

    def _short_circuit(self, name: str, operands: list[Any], dot: Any, last: list[Any]) -> Any:
        value: Any = None
        for operand in operands:
            value = self._operand(operand, dot)
            if truth(value) == (name == "or"):
                return value
        return last[0] if last else value

    def _method(self, fields: nodes.Fields, rest: list[Any], dot: Any, last: list[Any]) -> Any:
        """A call of a method with arguments: time.Time has one, Format."""
        value = self._fields(fields, fields.names[:-1], dot)
        arguments = [self._operand(o, dot) for o in rest] + last
        self.node = fields
        if isinstance(value, Time) and fields.names[-1] == "Format" and len(arguments) == 1:
            return value.format(str(arguments[0]))
        raise TemplateError(f"{fields.names[-1]} is not a method but has arguments")


def _field(value: Any, name: str) -> Any:
    if isinstance(value, Labels):
        return value.get(name, "")
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, Time) and (found := value.method(name)) is not None:
        return found
    if value is None:
        raise TemplateError(f"nil pointer evaluating interface {{}}.{name}")
    raise TemplateError(f"can't evaluate field {name} in type {type_name(value)}")


class Labels(dict[str, str]):
    """The labels that a template is given: what is missing is empty, not nil."""

    __slots__ = ()


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        return iter(sorted(value.items()))
    if isinstance(value, list):
        return iter(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return ((i, i) for i in range(value))
    if value is None:
        return iter(())
    raise TemplateError(f"range can't iterate over {shown(value)}")
