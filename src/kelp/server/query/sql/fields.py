"""Labels that a parser would cut out of the body, as SQL expressions, with the lines to trust.

SQL cannot follow Loki's parsers into every corner, and need not: for each parser there is a
condition on the line, `sound`, under which the expressions give exactly what the parser does.
Lines outside it (escapes in odd places, a key that stands twice, broken JSON) are read row by row.
Only wanted labels are looked at, as Loki's own hints do.

The engine computes equal expressions once, so that they may stand in a query as often as they like;
what stands there often has a name instead (see sql.definitions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.patterns import Capture, parse_parser_pattern
from kelp.server.query.logql.regexps import compile_regexp
from kelp.server.query.pipeline.json_parser import ERROR as JSON_ERROR
from kelp.server.query.pipeline.json_path import parse_path
from kelp.server.query.pipeline.names import sanitize
from kelp.server.query.sql.text import any_of, array, either, every, string, to_bytes

ABSENT_VALUE = "''"
BODY = "body"
_PLAIN_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Field:
    """`value` counts only where `present` holds; an absent label reads as empty.

    `gated` is the value where it is present and empty elsewhere, where that is had for less than
    by asking `present` of each line.
    """

    value: str
    present: str
    gated: str = ""

    @property
    def text(self) -> str:
        """The value, empty where there is none."""
        if self.gated or self.present == "1":
            return self.gated or self.value
        return f"if({self.present}, {self.value}, '')"


ABSENT = Field(ABSENT_VALUE, "0", ABSENT_VALUE)


@dataclass(frozen=True, slots=True)
class Fields:
    """What a parser finds in a line; `error` is its error where it is sound and yet fails."""

    of: dict[str, Field]
    sound: str = "1"
    error: str = ABSENT_VALUE


@dataclass(frozen=True, slots=True)
class Line:
    """The text that a parser reads, an expression; `name` makes a short name of a long one."""

    sql: str = BODY
    name: Callable[[str], str] = str


_BODY = Line()


def fields_of(
    parser: ast.Stage, names: Iterable[str], *, idle: bool = False, line: Line = _BODY
) -> Fields | None:
    """The wanted labels under a parser; None where SQL cannot say them.

    `idle`: the query needs no label of anything, and so its parser looks at no line.
    """
    wanted = sorted(set(names))
    if idle and isinstance(parser, ast.Json | ast.Logfmt | ast.Regexp | ast.Pattern):
        return Fields({})
    match parser:
        case ast.Json(()):
            return _json(line, wanted)
        case ast.Json():
            return _json_paths(line, parser.extractions, wanted)
        case ast.Logfmt(False, False, ()):
            return _logfmt(line, wanted)
        case ast.Regexp():
            return _regexp(line, parser.pattern, wanted)
        case ast.Pattern():
            return _pattern(line, parser.pattern, wanted)
        case _:
            return None


def _is_text(line: Line) -> str:
    """There is nothing in it that Loki would put a blank for in a value."""
    return f"position({line.sql}, '\\xef\\xbf\\xbd') = 0 AND isValidUTF8({line.sql})"


# --- json ------------------------------------------------------------------------------

# Escapes that could hide a letter, digit or underscore of a key, and keys with blanks around.
_HIDDEN = r"\\u00(?:3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])"
_BLANK_KEY = r'"[ ]*"[ \t\r\n]*:'
_COLON = r"[ \t\r\n]*:[ \t\r\n]*"
_STRING, _BOOL, _NULL = 34, 98, 0  # JSONType as a number; 105, 117 and 100 are numbers


def _json(line: Line, names: list[str]) -> Fields | None:
    """Fields of the outermost object: a nested one makes its line unsound where it could clash."""
    if not all(map(_PLAIN_NAME.fullmatch, names)):
        return None
    no_object = line.name(f"NOT match({line.sql}, '^[ \\t\\r\\n]*\\\\{{')")
    valid = any_of(
        [*(f"{_kind(line, name)} != {_NULL}" for name in names), f"isValidJSON({line.sql})"]
    )
    sound = every([valid, _json_keys_plain(line, names), *(_json_sound(line, n) for n in names)])
    error = f"if({no_object}, {string(JSON_ERROR)}, '')"
    return Fields({n: _json_field(line, n) for n in names}, either([no_object, sound]), error)


def _kind(line: Line, name: str) -> str:
    return line.name(f"toUInt8(JSONType({line.sql}, {string(name)}))")


def _json_field(line: Line, name: str) -> Field:
    kind = _kind(line, name)
    number = f"extract({line.sql}, {string(_json_number(name))})"
    flag = f"if(JSONExtractBool({line.sql}, {string(name)}), 'true', 'false')"
    text = f"JSONExtractString({line.sql}, {string(name)})"
    scalar = f"{kind} = {_STRING}, {text}, {kind} = {_BOOL}, {flag}"
    value = line.name(f"multiIf({scalar}, {kind} IN (105, 117, 100), {number}, '')")
    return Field(value, line.name(f"{kind} IN (34, 98, 105, 117, 100)"), value)


def _json_number(name: str) -> str:
    return f'"{name}"{_COLON}([^ \\t\\r\\n,}}\\]]+)'


def _json_keys_plain(line: Line, names: list[str]) -> str:
    """No key is written so that only its meaning would tell that it is a wanted one."""
    if not names:
        return "1"
    marks = ["\\u00", '"":', '" "', "\ufffd"]
    marks += [part for name in names for part in (f'" {name}', f'{name} "')]
    blanks = "|".join(rf'"[ ]+{name}[ ]*"{_COLON}|"{name}[ ]+"{_COLON}' for name in names)
    odd = f"{_HIDDEN}|{_BLANK_KEY}|\\x{{FFFD}}|{blanks}"
    found = f"multiSearchAny({line.sql}, {array(map(string, marks))})"
    return f"NOT ({found} AND match({line.sql}, {string(odd)}))"


def _json_sound(line: Line, name: str) -> str:
    """Whether the name comes from one place alone.

    The first of several texts counts on both sides. But a number is taken from the line's text, and
    behind a null or an object another value may follow, so then the key must stand there once. And
    `a_b` must not come out of `{"a":{"b":…}}` or `{"a-b":…}`.
    """
    key = string(f'"{name}"{_COLON}')
    once = f"countMatches({line.sql}, {key}) <= 1"
    # Mostly a name is of one kind in all lines: then its lines are counted in all of them or none.
    conditions = [f"{_kind(line, name)} IN ({_STRING}, {_BOOL}) OR {once}"]
    parts = name.split("_")
    if len(parts) > 1:
        starts, names = string('"' + parts[0]), string(f'"{name}"')
        alone = f"countSubstrings({line.sql}, {starts}) = countSubstrings({line.sql}, {names})"
        conditions.append(f"{alone} OR NOT match({line.sql}, {string(_json_clash(parts))})")
    return every(conditions)


def _json_clash(parts: list[str]) -> str:
    """A pattern that is found wherever something else than the one plain key may give the name."""
    other = r'[^a-zA-Z0-9"]'
    splits = range(1, len(parts))
    nested = "|".join(other.join(parts[:n]) for n in splits)
    odd = "|".join("_".join(parts[:n]) + r'[^a-zA-Z0-9_"]' + other.join(parts[n:]) for n in splits)
    key = f'"{other.join(parts)}"{_COLON}'
    return rf'(?s:"(?:{nested})[ ]*"{_COLON}\{{|{key}.*{key}|"(?:{odd})")'


def _json_paths(
    line: Line, extractions: Sequence[ast.Extraction], names: list[str]
) -> Fields | None:
    """`json name="a.b"`: paths of plain keys to a text, number or boolean, in an object.

    What is not there is empty, as is null; what is no object has an error, save an empty line.
    """
    paths = {e.name: parse_path(e.path) for e in extractions}
    keys = {part for n in names if n in paths for part in paths[n]}
    if not all(isinstance(key, str) and _PLAIN_NAME.fullmatch(key) for key in keys):
        return None
    starts = line.name(f"startsWith({line.sql}, '{{')")
    conditions = [
        starts,
        f"isValidJSON({line.sql})",
        _json_keys_plain(line, sorted(map(str, keys))),
    ]
    fields = dict.fromkeys(names, ABSENT)
    for name in names:
        if name in paths:
            fields[name], sound = _json_path(line, [str(part) for part in paths[name]])
            conditions.append(sound)
    no_json = f"notEmpty({line.sql}) AND NOT match({line.sql}, '^[\"{{[]')"
    error = f"if({no_json}, {string(JSON_ERROR)}, '')"
    return Fields(fields, either([f"empty({line.sql})", no_json, every(conditions)]), error)


def _json_path(line: Line, path: list[str]) -> tuple[Field, str]:
    """The field, and the condition under which it is what the parser finds."""
    where = ", ".join([line.sql, *map(string, path)])
    kind = line.name(f"toUInt8(JSONType({where}))")
    number = f"extract({line.sql}, {string(_json_number(path[-1]))})"
    flag = f"if(JSONExtractBool({where}), 'true', 'false')"
    scalar = f"{kind} = {_STRING}, JSONExtractString({where}), {kind} = {_BOOL}, {flag}"
    value = line.name(f"multiIf({scalar}, {kind} IN (105, 117, 100), {number}, '')")
    key = string(f'"{path[-1]}"{_COLON}')
    once = f"countMatches({line.sql}, {key}) = 1"
    sound = f"{kind} IN ({_STRING}, {_BOOL}, {_NULL}) OR ({kind} IN (105, 117, 100) AND {once})"
    return Field(value, f"startsWith({line.sql}, '{{')", value), sound


# --- logfmt ----------------------------------------------------------------------------

_BORDER = r'(?:^|[\x00-\x20"])'
_LOGFMT_VALUE = r'("[^"\\]*"|[^\x00-\x20="]*)'
_END = r"(?:[\x00-\x20]|$)"
# What may stand before a key, word by word: a pair in quotes, and, up to a blank, a flag or a pair,
# or what the parser passes over (a quote where a key should be, no key, a wrong byte in a value).
_RUN = r'[^\x00-\x20="]'
_PASSED = rf'{_RUN}*"[^\x00-\x20]*|=[^\x00-\x20]*|{_RUN}+=(?:{_RUN}+[="]|=)[^\x00-\x20]*'
_BEFORE = rf'^(?:[\x00-\x20]+|{_RUN}+="[^"\\]*"|(?:{_RUN}+(?:={_RUN}*)?|{_PASSED})[\x00-\x20])*'


def _logfmt(line: Line, names: list[str]) -> Fields | None:
    """A key that stands once, outside of quotes, with a value that has no escapes."""
    if not all(map(_PLAIN_NAME.fullmatch, names)):
        return None
    if not names:
        return Fields({})
    sound = every([_is_text(line), *(_logfmt_sound(line, n) for n in names)])
    return Fields({n: _logfmt_field(line, n) for n in names}, sound)


def _logfmt_key(name: str) -> str:
    return name.replace("_", r'[^\x00-\x20="a-zA-Z0-9]') + "="


def _logfmt_field(line: Line, name: str) -> Field:
    found = line.name(f"extract({line.sql}, {string(_BORDER + _logfmt_key(name) + _LOGFMT_VALUE)})")
    quoted = f"startsWith({found}, '\"')"
    # Without its quotes; an empty text stays one.
    value = line.name(f"substring({found}, 1 + {quoted}, length({found}) - 2 * {quoted})")
    return Field(value, f"notEmpty({value})", value)


def _logfmt_sound(line: Line, name: str) -> str:
    key = _logfmt_key(name)
    times = line.name(f"countMatches({line.sql}, {string(_BORDER + key)})")
    whole = rf'{_BEFORE}{key}(?:"[^"\\]*"|[^\x00-\x20="]*{_END})'
    return f"{times} = 0 OR ({times} = 1 AND match({line.sql}, {string(whole)}))"


# --- regexp and pattern ----------------------------------------------------------------


def regexp_groups(pattern: str) -> dict[str, int]:
    """The labels of a `regexp` stage, and the number of the group that each comes from."""
    groups: dict[str, int] = {}
    index = compile_regexp(pattern).groupindex
    for name, number in sorted(index.items(), key=lambda item: int(item[1])):
        groups.setdefault(sanitize(name if isinstance(name, str) else name.decode()), int(number))
    return groups


def _regexp(line: Line, pattern: str, names: list[str]) -> Fields | None:
    groups = regexp_groups(pattern)
    source = f"(?-s){pattern}" if "." in pattern else pattern
    found = line.name(f"extractGroups({line.sql}, {string(source)})")
    present = f"notEmpty({found})"
    values = {n: f"{found}[{groups[n]}]" for n in names if n in groups}
    fields = {n: Field(values[n], present, values[n]) if n in values else ABSENT for n in names}
    return Fields(fields, f"isValidUTF8({line.sql})")


def _pattern(line: Line, pattern: str, names: list[str]) -> Fields | None:
    """Where each literal ends the capture before it; nothing is asked line by line with an `if`."""
    nodes = parse_parser_pattern(pattern)
    matched = [f"toUInt64(notEmpty({line.sql}))"]
    at = "1"
    if not isinstance(nodes[0], Capture):
        matched = [f"toUInt64(startsWith({line.sql}, {string(nodes[0])}))"]
        at = str(len(to_bytes(nodes[0])) + 1)
        nodes = nodes[1:]
    fields: dict[str, Field] = {}
    for i in range(0, len(nodes), 2):
        present = line.name(f"least({', '.join(matched)})" if len(matched) > 1 else matched[0])
        literal = nodes[i + 1] if i + 1 < len(nodes) else None
        size = f"length({line.sql})"
        if literal is not None:
            end = line.name(f"position({line.sql}, {string(literal)}, toUInt64({at}))")
            size = f"if({end} = 0, {size}, {end} - {at})"
        cut = line.name(f"substring({line.sql}, {at}, if({present} = 0, 0, {size}))")
        fields[nodes[i]] = Field(cut, f"{present} > 0", cut)
        if literal is None:
            break
        matched = [present, end]
        at = f"({end} + {len(to_bytes(literal))})"
    fields["_"] = ABSENT  # catches and forgets
    return Fields({n: fields.get(n, ABSENT) for n in names})
