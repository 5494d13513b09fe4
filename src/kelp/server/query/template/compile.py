"""Template: a text made ready to be run on the labels of many records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kelp.server.query.logql.literals import quote
from kelp.server.query.template import nodes
from kelp.server.query.template.evaluate import Check, Evaluation, Labels
from kelp.server.query.template.functions import FUNCTIONS, LINE, NAMES, TIMESTAMP
from kelp.server.query.template.nodes import TemplateError
from kelp.server.query.template.parser import TemplateParser
from kelp.server.query.template.times import Time

__all__ = ["Template", "TemplateError", "compile_template"]


@dataclass(frozen=True, slots=True)
class Template:
    """`fields` are the labels that it reads; `simple_field` that of `{{.name}}` alone."""

    name: str
    text: str
    body: nodes.Body
    defined: Mapping[str, nodes.Body]
    fields: tuple[str, ...]
    simple_field: str | None

    def run(
        self, labels: Mapping[str, str], line: str, timestamp_ns: int, check: Check = lambda: None
    ) -> str:
        """The output for one record; TemplateError where a value does not fit.

        `check` is called while it runs; what it raises ends the run.
        """
        functions = {
            **FUNCTIONS, LINE: lambda: line, TIMESTAMP: lambda: Time(timestamp_ns)
        }  # fmt: skip
        data = Labels(labels)
        evaluation = Evaluation(functions, self.defined, data, check)
        try:
            return evaluation.run(self.body, data)
        except TemplateError as e:
            raise self._placed(str(e), evaluation) from None
        except RecursionError:
            raise self._placed("exceeded maximum template depth", evaluation) from None

    def _placed(self, message: str, evaluation: Evaluation) -> TemplateError:
        """An error as text/template's ExecError has it: where, in which template, at which node."""
        node = evaluation.node
        if node is None:
            return TemplateError(f"template: {self.name}: {message}")
        before = self.text[: node.at]
        column = len(before[before.rfind("\n") + 1 :].encode("utf-8", "surrogateescape"))
        return TemplateError(
            f"template: {self.name}:{before.count(chr(10)) + 1}:{column}: executing "
            f"{quote(evaluation.within or self.name)} at <{nodes.spelling(node)}>: {message}"
        )


@lru_cache(maxsize=256)
def compile_template(name: str, text: str) -> Template:
    """A template; `name` stands in its errors. TemplateError for a text that is none."""
    parser = TemplateParser(name, text, NAMES)
    body = parser.parse()
    fields = tuple(
        dict.fromkeys(f for tree in (body, *parser.defined.values()) for f in _read(tree))
    )
    return Template(name, text, body, parser.defined, fields, _simple(body))


def _simple(body: nodes.Body) -> str | None:
    match body:
        case (
            nodes.Action(
                nodes.Pipeline((nodes.Command((nodes.Fields(nodes.Dot(), (name,)),)),), ())
            ),
        ):
            return name
        case _:
            return None


def _read(node: Any) -> Iterator[str]:
    """The names behind dots, wherever they stand in a tree."""
    if isinstance(node, tuple):
        for part in node:
            yield from _read(part)
    elif isinstance(node, nodes.Fields):
        yield from node.names
        yield from _read(node.operand)
    elif isinstance(node, nodes.Action | nodes.Call):
        yield from _read(node.pipeline)
    elif isinstance(node, nodes.Branch):
        yield from _read((node.pipeline, node.body, node.otherwise))
    elif isinstance(node, nodes.Pipeline):
        yield from _read(node.commands)
    elif isinstance(node, nodes.Command):
        yield from _read(node.operands)
