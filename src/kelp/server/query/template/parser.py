"""A template's items to its tree. Model: text/template/parse/parse.go."""

from __future__ import annotations

from collections.abc import Collection

from kelp.server.query.logql.literals import parse_float, quote, unquote
from kelp.server.query.template import nodes
from kelp.server.query.template.lexer import Item, Lexer
from kelp.server.query.template.nodes import TemplateError

_MAX_DEPTH = 100


class TemplateParser:
    """Reads one template; functions that are not known are errors here already."""

    def __init__(self, name: str, text: str, functions: Collection[str]) -> None:
        self._lexer = Lexer(name, text)
        self._items = self._lexer.run()
        self._at = 0
        self._functions = functions
        self._variables = ["$"]
        self._loops = 0
        self._depth = 0
        self.defined: dict[str, nodes.Body] = {}

    def parse(self) -> nodes.Body:
        """The tree of the whole text."""
        body, stop = self._body("end")
        if stop.kind != "end":
            raise self._fail(f"unexpected {{{{{stop.text}}}}}", stop)
        return body

    # --- the place ----------------------------------------------------------------

    def _peek(self) -> Item:
        return self._items[self._at]

    def _take(self) -> Item:
        item = self._items[self._at]
        self._at = min(self._at + 1, len(self._items) - 1)
        return item

    def _fail(self, message: str, item: Item) -> TemplateError:
        return self._lexer.fail(message, item.line)

    def _unexpected(self, item: Item, context: str) -> TemplateError:
        shown = {"right": '"}}"', "end": "EOF"}.get(item.kind, f"<{item.text}>")
        return self._fail(f"unexpected {shown} in {context}", item)

    def _right(self, context: str) -> None:
        item = self._take()
        if item.kind != "right":
            raise self._unexpected(item, context)

    # --- bodies -------------------------------------------------------------------

    def _body(self, context: str) -> tuple[nodes.Body, Item]:
        """Nodes up to `else`, `end` or the text's end, and which of them it was."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._fail(f"expected at most {_MAX_DEPTH} nested blocks", self._peek())
        found: list[nodes.Node] = []
        while True:
            item = self._take()
            if item.kind == "text":
                found.append(nodes.Text(item.text))
            elif item.kind == "end":
                if context != "end":
                    raise self._fail("unexpected EOF", item)
                self._depth -= 1
                return tuple(found), item
            else:
                first = self._peek()
                if first.kind in ("else", "end"):
                    self._take()
                    self._depth -= 1
                    # `{{end}}` has kind end as the text's end has; the name tells them apart.
                    return tuple(found), Item("{{" + first.kind, first.text, first.line)
                node = self._action(first)
                if node is not None:
                    found.append(node)

    def _action(self, first: Item) -> nodes.Node | None:
        match first.kind:
            case "if" | "with" | "range":
                self._take()
                return self._branch(first.kind)
            case "break" | "continue":
                self._take()
                if not self._loops:
                    raise self._fail(f"{{{{{first.kind}}}}} outside {{{{range}}}}", first)
                self._right(f"{{{{{first.kind}}}}}")
                return nodes.Leave(first.kind)
            case "define":
                self._take()
                self._define()
                return None
            case "block":
                self._take()
                return self._block()
            case "template":
                self._take()
                return self._template()
            case _:
                return nodes.Action(self._pipeline("command", "right"))

    def _branch(self, kind: str) -> nodes.Branch:
        known = len(self._variables)
        pipeline = self._pipeline(kind, "right", loop=kind == "range")
        self._loops += kind == "range"
        body, stop = self._body(kind)
        self._loops -= kind == "range"
        otherwise: nodes.Body = ()
        if stop.kind == "{{else":
            otherwise = self._else(kind)
        else:
            self._right("end")
        del self._variables[known:]
        return nodes.Branch(kind, pipeline, body, otherwise)

    def _else(self, kind: str) -> nodes.Body:
        following = self._peek()
        if following.kind == kind and kind in ("if", "with"):
            self._take()
            return (self._branch(kind),)
        self._right("else")
        body, stop = self._body(kind)
        if stop.kind == "{{else":
            raise self._fail("expected end; found {{else}}", stop)
        self._right("end")
        return body

    def _name(self, context: str) -> str:
        item = self._take()
        if item.kind not in ("string", "raw"):
            raise self._unexpected(item, context)
        return item.text

    def _define(self) -> None:
        name = self._name("define clause")
        self._right("define clause")
        body, stop = self._body("define")
        if stop.kind == "{{else":
            raise self._unexpected(stop, "define clause")
        self._right("end")
        self.defined[name] = body

    def _template(self) -> nodes.Call:
        at = self._peek().at
        name = self._name("template clause")
        if self._peek().kind == "right":
            self._take()
            return nodes.Call(name, None, at=at)
        return nodes.Call(name, self._pipeline("template clause", "right"), at=at)

    def _block(self) -> nodes.Call:
        at = self._peek().at
        name = self._name("block clause")
        pipeline = self._pipeline("block clause", "right")
        body, _ = self._body("block clause")
        self._right("end")
        self.defined[name] = body
        return nodes.Call(name, pipeline, at=at)

    # --- pipelines ----------------------------------------------------------------

    def _pipeline(self, context: str, close: str, *, loop: bool = False) -> nodes.Pipeline:
        at = self._peek().at
        variables, declares = self._declaration(loop=loop)
        commands: list[nodes.Command] = []
        while True:
            if self._peek().kind == close:
                end = self._take()
                if not commands:
                    raise self._fail(f"missing value for {context}", end)
                return nodes.Pipeline(tuple(commands), variables, declares, at=at)
            commands.append(self._command(context))
            self._check_stage(commands)
            if self._peek().kind == "|":
                bar = self._take()
                if self._peek().kind == close:
                    raise self._fail(f"missing value for {context}", bar)

    def _check_stage(self, commands: list[nodes.Command]) -> None:
        first = commands[-1].operands[0]
        if len(commands) > 1 and isinstance(first, nodes.Constant | nodes.Dot):
            raise self._fail(
                f"non executable command in pipeline stage {len(commands)}", self._peek()
            )

    def _declaration(self, *, loop: bool) -> tuple[tuple[str, ...], bool]:
        if self._peek().kind != "variable":
            return (), False
        ahead = self._items[self._at + 1].kind
        if ahead in (":=", "="):
            name = self._take().text
            self._take()
            self._declare(name, declares=ahead == ":=")
            return (name,), ahead == ":="
        if ahead == "," and loop:
            return self._two_variables()
        return (), False

    def _two_variables(self) -> tuple[tuple[str, ...], bool]:
        first = self._take().text
        self._take()
        second = self._take()
        mark = self._take()
        if second.kind != "variable" or mark.kind not in (":=", "="):
            raise self._unexpected(mark, "range")
        for name in (first, second.text):
            self._declare(name, declares=mark.kind == ":=")
        return (first, second.text), mark.kind == ":="

    def _declare(self, name: str, *, declares: bool) -> None:
        if declares:
            self._variables.append(name)
        elif name not in self._variables:
            raise self._fail(f"undefined variable {quote(name)}", self._peek())

    def _command(self, context: str) -> nodes.Command:
        operands: list[nodes.Operand] = []
        at = self._peek().at
        while self._peek().kind not in ("|", "right", ")", "end"):
            if operands and not self._peek().spaced and self._peek().kind != "(":
                raise self._unexpected(self._peek(), "operand")
            operands.append(self._operand(context))
        if not operands:
            item = self._peek()
            if item.kind == "right":
                raise self._fail(f"missing value for {context}", item)
            raise self._unexpected(item, context)
        return nodes.Command(tuple(operands), at=at)

    def _operand(self, context: str) -> nodes.Operand:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._fail(f"expected at most {_MAX_DEPTH} nested parentheses", self._peek())
        operand = self._term(self._take(), context)
        self._depth -= 1
        at = self._peek().at  # Go names the place of the second part of `.a.b`, and so do we
        names: list[str] = []
        while self._peek().kind == "field" and not self._peek().spaced:
            names.append(self._take().text[1:])
        if not names:
            return operand
        if isinstance(operand, nodes.Fields):
            return nodes.Fields(operand.operand, (*operand.names, *names), at=at)
        return nodes.Fields(operand, tuple(names), at=at)

    def _term(self, item: Item, context: str) -> nodes.Operand:
        match item.kind:
            case "word":
                return self._word(item)
            case ".":
                return nodes.Dot(at=item.at)
            case "field":
                return nodes.Fields(nodes.Dot(at=item.at), (item.text[1:],), at=item.at)
            case "variable":
                if item.text not in self._variables:
                    raise self._fail(f"undefined variable {quote(item.text)}", item)
                return nodes.Variable(item.text, at=item.at)
            case "string" | "raw":
                return nodes.Constant(item.text, item.source, at=item.at)
            case "nil":
                return nodes.Constant(None, "nil", at=item.at)
            case "number" | "char":
                return nodes.Constant(self._number(item), item.source, at=item.at)
            case "(":
                return self._pipeline("parenthesized pipeline", ")")
            case _:
                raise self._unexpected(item, context)

    def _word(self, item: Item) -> nodes.Operand:
        if item.text in ("true", "false"):
            return nodes.Constant(item.text == "true", item.text, at=item.at)
        if item.text not in self._functions:
            raise self._fail(f"function {quote(item.text)} not defined", item)
        return nodes.Function(item.text, at=item.at)

    def _number(self, item: Item) -> int | float:
        if item.kind == "char":
            inner = item.text[1:-1].replace("\\'", "'").replace('"', '\\"')
            try:
                return ord(unquote(f'"{inner}"'))
            except (ValueError, TypeError):
                message = f"malformed character constant: {item.text}"
                raise self._fail(message, item) from None
        try:
            return int(item.text.replace("_", ""), 0)
        except ValueError:
            pass
        try:
            if item.text.lstrip("+-").isdecimal():  # a leading zero: octal, as in Go
                return int(item.text, 8)
            return parse_float(item.text.replace("_", ""))
        except ValueError:
            raise self._fail(f"bad number syntax: {quote(item.text)}", item) from None
