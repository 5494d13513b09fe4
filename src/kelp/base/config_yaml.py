"""YAML text to values as the settings' types want them, each with its place in the text.

Text is composed, not loaded: nodes keep their marks, keys that stand twice are seen, and what a
plain scalar means is decided by the type that is wanted (`node: on` is the text "on"). Nothing
here knows files or the order in which sources go over each other; see kelp.base.config.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
import yaml

from kelp.base.config_schema import expectation, keys, list_item, section_of, takes_text
from kelp.base.settings import Section

_NULL = "tag:yaml.org,2002:null"


class WrongValueError(Exception):
    """A value that does not fit; `mark` is where it stands in the YAML text, None where unknown."""

    def __init__(self, mark: yaml.Mark | None, message: str) -> None:
        super().__init__(message)
        self.mark = mark


def compose(text: str | bytes) -> yaml.Node | None:
    """The root of the one document in `text`, None where it is empty; raises WrongValueError."""
    try:
        # The loader in Python, not libyaml's: a file nested by the thousand then ends in a
        # RecursionError instead of a fault of the process.
        node: yaml.Node | None = yaml.SafeLoader(text).get_single_node()
        return node
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        raise WrongValueError(mark, f"expected YAML; {e.problem or e.context}") from e
    except yaml.reader.ReaderError as e:
        raise WrongValueError(None, f"expected YAML in UTF-8; got {e.reason}") from e
    except RecursionError:
        raise WrongValueError(None, "expected a few levels; got endless nesting") from None


def leaves(
    node: yaml.Node | None, section: type[Section], prefix: str
) -> Iterator[tuple[str, yaml.Mark, object] | WrongValueError]:
    """The values of a section and of those in it; what is wrong is yielded, not raised."""
    if node is None or node.tag == _NULL:  # a section whose keys are all commented out
        return
    if not isinstance(node, yaml.MappingNode):
        yield _wrong(node, section)
        return
    fields = {f.name: f for f in msgspec.structs.fields(section)}
    for key_node, value_node in _known_pairs(node, fields, prefix):
        if isinstance(key_node, WrongValueError):
            yield key_node
            continue
        f = fields[key_node.value]
        inner = section_of(f.type)
        if inner is not None:
            yield from leaves(value_node, inner, f"{prefix}{f.name}.")
            continue
        try:
            yield prefix + f.name, value_node.start_mark, _convert(value_node, f.type)
        except WrongValueError as e:
            yield e


def _known_pairs(
    node: yaml.MappingNode, fields: Mapping[str, object], prefix: str
) -> Iterator[tuple[Any, Any]]:
    seen: dict[str, yaml.Mark] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        if name not in fields:
            yield WrongValueError(key.start_mark, _unknown_key(name, fields, prefix)), None
        elif name in seen:
            first = seen[name].line + 1
            text = f'key "{prefix}{name}" stands here again; its first value is in line {first}'
            yield WrongValueError(key.start_mark, text), None
        else:
            seen[name] = key.start_mark
            yield key, value


def _unknown_key(name: str, fields: Mapping[str, object], prefix: str) -> str:
    full = [k.path for k in keys() if k.path.rpartition(".")[2] == name]
    hint = f"; did you mean {full[0]}?" if full else did_you_mean(name, fields)
    where = f" in {prefix.rstrip('.')}" if prefix else ""
    return f'expected one of {", ".join(fields)}{where}; got "{name}"{hint}'


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The end of an error: the known name that comes near, where one does."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _convert(node: yaml.Node, annotation: Any) -> object:
    """A YAML value as its type wants it; raises WrongValueError."""
    item = list_item(annotation)
    if item is not None:
        if not isinstance(node, yaml.SequenceNode):
            raise _wrong(node, annotation)
        return [_convert(n, item) for n in node.value]
    section = section_of(annotation)
    if section is not None:
        return _convert_struct(node, section)
    if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL:
        raise _wrong(node, annotation)
    return _convert_scalar(node, annotation)


def _convert_scalar(node: yaml.ScalarNode, annotation: Any) -> object:
    try:
        if takes_text(annotation):
            return msgspec.convert(node.value, annotation)
        value = _plain_value(node)
        # YAML 1.1 reads 1e9 as text; where a number is wanted it is one.
        lax = isinstance(value, str) and node.style is None
        return msgspec.convert(value, annotation, strict=not lax)
    except (msgspec.ValidationError, ValueError, KeyError, yaml.YAMLError):
        raise _wrong(node, annotation) from None


def _plain_value(node: yaml.ScalarNode) -> object:
    constructor = yaml.constructor.SafeConstructor()
    return constructor.construct_object(node)


def _convert_struct(node: yaml.Node, section: type[Section]) -> Section:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(node, section)
    values: dict[str, object] = {}
    for found in leaves(node, section, ""):
        if isinstance(found, WrongValueError):
            raise found
        values[found[0]] = found[2]
    for f in msgspec.structs.fields(section):
        if f.required and f.name not in values:
            text = f'expected the key "{f.name}"; got {", ".join(values) or "none"}'
            raise WrongValueError(node.start_mark, text)
    return build(section, values)


def _wrong(node: yaml.Node, annotation: Any) -> WrongValueError:
    return WrongValueError(node.start_mark, f"expected {expectation(annotation)}; got {_got(node)}")


def _got(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if node.tag == _NULL:
        return 'nothing (for empty text write "")'
    return _shown(node.value, quoted=node.tag.endswith(":str"))


def _shown(text: str, *, quoted: bool) -> str:
    short = text if len(text) <= 60 else text[:57] + "…"
    return json.dumps(short, ensure_ascii=False) if quoted else short


def convert_text(text: str, annotation: Any) -> object:
    """A value given outside a file: text as it is, everything else as YAML (so JSON too)."""
    if takes_text(annotation):
        return _convert_scalar(yaml.ScalarNode("tag:yaml.org,2002:str", text), annotation)
    return _convert(compose(text) or yaml.ScalarNode(_NULL, ""), annotation)


def build(section: type[Section], values: Mapping[str, object], prefix: str = "") -> Section:
    """The Struct out of values by dotted path; what is not among them has its default."""
    given: dict[str, object] = {}
    for f in msgspec.structs.fields(section):
        inner = section_of(f.type)
        if inner is not None:
            given[f.name] = build(inner, values, f"{prefix}{f.name}.")
        elif prefix + f.name in values:
            given[f.name] = values[prefix + f.name]
    return section(**given)
