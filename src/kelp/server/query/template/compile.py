"""Template: a text made ready to be run on the labels of many records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kelp.server.query.template import nodes
from kelp.server.query.template.evaluate import Evaluation, Labels
from kelp.server.query.template.functions import FUNCTIONS, LINE, NAMES, TIMESTAMP
from kelp.server.query.template.nodes import TemplateError
from kelp.server.query.template.parser import TemplateParser
from kelp.server.query.template.times import Time

__all__ = ["Template", "TemplateError", "compile_template"]


@dataclass(frozen=True, slots=True)
class Template:
    """`fields` are the labels that it reads; `simple_field` that of `{{.name}}` alone."""

    name: str
    body: nodes.Body
    defined: Mapping[str, nodes.Body]
    fields: tuple[str, ...]
    simple_field: str | None

    def run(self, labels: Mapping[str, str], line: str, timestamp_ns: int) -> str:
        """The output for one record; TemplateError where a value does not fit."""
        functions = {
            **FUNCTIONS, LINE: lambda: line, TIMESTAMP: lambda: Time(timestamp_ns)
        }  # fmt: skip
        data = Labels(labels)
        try:
            return Evaluation(functions, self.defined, data).run(self.body, data)
        except TemplateError as e:
            text = str(e)
            if text.startswith("template:"):
                raise
            raise TemplateError(f'template: {self.name}:1: executing "{self.name}": {text}') from e
        except RecursionError:
            raise TemplateError("template: exceeded maximum template depth") from None


@lru_cache(maxsize=256)
def compile_template(name: str, text: str) -> Template:
    """A template; `name` stands in its errors. TemplateError for a text that is none."""
    parser = TemplateParser(name, text, NAMES)
    body = parser.parse()
    fields = tuple(
        dict.fromkeys(f for tree in (body, *parser.defined.values()) for f in _read(tree))
    )
    return Template(name, body, parser.defined, fields, _simple(body))


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
