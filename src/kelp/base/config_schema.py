"""What can be set: the keys of kelp.yaml as data, read off the Structs in kelp.base.settings.

The Structs are the one place where a setting is declared (name, type, bounds, default, reason).
Reading a file, the environment, the reference page and the JSON Schema are all made from what this
module reads there, so that none of them can lag behind. It reads no file of the user's.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from msgspec import NODEFAULT
from msgspec.inspect import (
    BoolType,
    DictType,
    FloatType,
    IntType,
    ListType,
    LiteralType,
    StrType,
    StructType,
    type_info,
)

from kelp.base.settings import Section, Settings

ENV_PREFIX = "KELP_"
JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Key:
    """One setting: a leaf of kelp.yaml."""

    path: str  # "agent.spool.dir"
    annotation: Any  # its type as declared, bounds included
    doc: str
    default_text: str  # as it would be written in YAML, or a description where it depends
    default: object = None  # None where it depends on the machine

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + self.path.replace(".", "_").upper()


def section_of(annotation: Any) -> type[Section] | None:
    """The Struct where the annotation is a section (a mapping of further keys); else None."""
    is_section = isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation if is_section else None


def keys(section: type[Section] = Settings, prefix: str = "") -> Iterator[Key]:
    """Every key in the order of declaration, sections walked depth first."""
    docs = field_docs(section)
    for f in msgspec.structs.fields(section):
        inner = section_of(f.type)
        if inner is not None:
            yield from keys(inner, f"{prefix}{f.name}.")
        else:
            text, value = _default(f)
            yield Key(prefix + f.name, f.type, docs.get(f.name, ""), text, value)


def sections(section: type[Section] = Settings, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(path, docstring) of every section, the root (path "") first."""
    yield prefix.rstrip("."), inspect.cleandoc(section.__doc__ or "")
    for f in msgspec.structs.fields(section):
        inner = section_of(f.type)
        if inner is not None:
            yield from sections(inner, f"{prefix}{f.name}.")


def _default(f: msgspec.structs.FieldInfo) -> tuple[str, object]:
    if f.default is not NODEFAULT:
        return json.dumps(f.default), f.default
    if f.default_factory is NODEFAULT:
        return "(required)", None
    if f.default_factory in (list, dict):
        return json.dumps(f.default_factory()), f.default_factory()
    return inspect.cleandoc(f.default_factory.__doc__ or "").splitlines()[0].rstrip("."), None


@cache
def field_docs(section: type[Section]) -> dict[str, str]:
    """The docstring under each field, joined to one line; fields without one are left out."""
    body = ast.parse(inspect.getsource(section)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            docs[before.target.id] = " ".join(str(after.value.value).split())
    return docs


def expectation(annotation: Any) -> str:
    """What a value must be, in words for an error: `int >= 0`, `"always" or "never"`."""
    info = type_info(annotation)
    if isinstance(info, IntType | FloatType):
        name = "int" if isinstance(info, IntType) else "number"
        bounds = ((">", info.gt), (">=", info.ge), ("<", info.lt), ("<=", info.le))
        limits = [f"{sign} {limit:g}" for sign, limit in bounds if limit is not None]
        return " ".join([name, " and ".join(limits)]) if limits else name
    if isinstance(info, LiteralType):
        return " or ".join(json.dumps(v) for v in annotation.__args__)
    if isinstance(info, StructType):
        return f"a mapping with the keys {', '.join(info.cls.__struct_fields__)}"
    if isinstance(info, ListType):
        return f"a list, each of it {expectation(_item_annotation(annotation))}"
    words = {BoolType: "true or false", StrType: "text", DictType: "a mapping"}
    return words.get(type(info), str(annotation))


def _item_annotation(annotation: Any) -> Any:
    return annotation.__args__[0]


def list_item(annotation: Any) -> Any | None:
    """The annotation of a list's items; None where the annotation is no list."""
    return _item_annotation(annotation) if isinstance(type_info(annotation), ListType) else None


def takes_text(annotation: Any) -> bool:
    """Whether a plain scalar stands for its own text (`on`, `12` and `1:30` are text there)."""
    info = type_info(annotation)
    if isinstance(info, LiteralType):
        return all(isinstance(v, str) for v in info.values)
    return isinstance(info, StrType)


def json_schema() -> dict[str, Any]:
    """JSON Schema of kelp.yaml with the fields' docstrings as descriptions; for editors."""
    schema = msgspec.json.schema(Settings)
    for section in _all_sections(Settings):
        properties = schema["$defs"][section.__name__]["properties"]
        for name, doc in field_docs(section).items():
            properties[name]["description"] = doc
    return {"$schema": JSON_SCHEMA_DIALECT, "title": "kelp.yaml", **schema}


def _all_sections(section: type[Section]) -> Iterator[type[Section]]:
    yield section
    for f in msgspec.structs.fields(section):
        inner = section_of(list_item(f.type) or f.type)
        if inner is not None:
            yield from _all_sections(inner)
