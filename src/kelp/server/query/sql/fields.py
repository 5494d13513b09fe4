"""Labels that a parser would cut out of the body, as SQL expressions, with the lines to trust.

SQL cannot follow Loki's parsers into every corner, and need not: for each parser there is a
condition on the line, `sound`, under which the expressions give exactly what the parser does.
Lines outside it (escapes in odd places, a key that stands twice, broken JSON) are read row by row.
Only wanted labels are looked at, as Loki's own hints do.

The engine computes equal expressions once, so that they may stand in a query as often as they like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.patterns import Capture, parse_parser_pattern
from kelp.server.query.logql.regexps import compile_regexp
from kelp.server.query.pipeline.json_parser import ERROR as JSON_ERROR
from kelp.server.query.pipeline.names import sanitize
from kelp.server.query.sql.text import all_of, any_of, array, string, to_bytes

ABSENT_VALUE = "''"
_PLAIN_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")

BODY = "body"


@dataclass(frozen=True, slots=True)
class Field:
    """`value` counts only where `present` holds; an absent label reads as empty."""

    value: str
    present: str

    @property
    def text(self) -> str:
        """The value, empty where there is none."""
        return self.value if self.present == "1" else f"if({self.present}, {self.value}, '')"


ABSENT = Field(ABSENT_VALUE, "0")


@dataclass(frozen=True, slots=True)
class Fields:
    """What a parser finds in a line; `error` is its error where it is sound and yet fails."""

    of: dict[str, Field]
    sound: str = "1"
    error: str = ABSENT_VALUE


def fields_of(parser: ast.Stage, names: Iterable[str], *, idle: bool = False) -> Fields | None:
    """The wanted labels under a parser; None where SQL cannot say them.

    `idle`: the query needs no label of anything, and so its parser looks at no line.
    """
    wanted = sorted(set(names))
    if idle and isinstance(parser, ast.Json | ast.Logfmt | ast.Regexp | ast.Pattern):
        return Fields({})
    match parser:
        case ast.Json(()):
            return json_fields(wanted)
        case ast.Logfmt(False, False, ()):
            return logfmt_fields(wanted)
        case ast.Regexp():
            return _regexp(parser.pattern, wanted)
        case ast.Pattern():
            return _pattern(parser.pattern, wanted)
        case _:
            return None


# --- json ------------------------------------------------------------------------------

# Escapes that could hide a letter, digit or underscore of a key, and keys with blanks around.
_HIDDEN = r"\\u00(?:3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])"
_BLANK_KEY = r'"[ ]*"[ \t\r\n]*:'
_COLON = r"[ \t\r\n]*:[ \t\r\n]*"
_STRING, _BOOL, _NULL = 34, 98, 0  # JSONType as a number; 105, 117 and 100 are numbers


def json_fields(names: list[str], text: str = BODY) -> Fields | None:
    """Fields of the outermost object: a nested one makes its line unsound where it could clash."""
    if not all(map(_PLAIN_NAME.fullmatch, names)):
        return None
    no_object = f"NOT match({text}, '^[ \\t\\r\\n]*\\\\{{')"
    valid = any_of([*(f"{_kind(name, text)} != {_NULL}" for name in names), f"isValidJSON({text})"])
    sound = all_of([valid, _json_keys_plain(names, text), *(_json_sound(n, text) for n in names)])
    error = f"if({no_object}, {string(JSON_ERROR)}, '')"
    return Fields({n: _json_field(n, text) for n in names}, any_of([no_object, sound]), error)


def _kind(name: str, text: str) -> str:
    return f"toUInt8(JSONType({text}, {string(name)}))"


def _json_field(name: str, text: str) -> Field:
    kind = _kind(name, text)
    number = f"extract({text}, {string(_json_number(name))})"
    flag = f"if(JSONExtractBool({text}, {string(name)}), 'true', 'false')"
    word = f"JSONExtractString({text}, {string(name)})"
    value = f"multiIf({kind} = {_STRING}, {word}, {kind} = {_BOOL}, {flag}, {number})"
    return Field(value, f"{kind} IN (34, 98, 105, 117, 100)")


def _json_number(name: str) -> str:
    return f'"{name}"{_COLON}([^ \\t\\r\\n,}}\\]]+)'


def _json_keys_plain(names: list[str], text: str) -> str:
    """No key is written so that only its meaning would tell that it is a wanted one."""
    if not names:
        return "1"
    marks = ["\\u00", '"":', '" "', "\ufffd"]
    marks += [part for name in names for part in (f'" {name}', f'{name} "')]
    blanks = "|".join(rf'"[ ]+{name}[ ]*"{_COLON}|"{name}[ ]+"{_COLON}' for name in names)
    odd = f"{_HIDDEN}|{_BLANK_KEY}|\\x{{FFFD}}|{blanks}"
    found = f"multiSearchAny({text}, {array(map(string, marks))})"
    return f"NOT ({found} AND match({text}, {string(odd)}))"


def _json_sound(name: str, text: str) -> str:
    """Whether the name comes from one place alone.

    The first of several texts counts on both sides. But a number is taken from the line's text, and
    behind a null or an object another value may follow, so then the key must stand there once. And
    `a_b` must not come out of `{"a":{"b":…}}` or `{"a-b":…}`.
    """
    key = string(f'"{name}"{_COLON}')
    times = f"countMatches({text}, {key})"
    conditions = [f"{_kind(name, text)} IN ({_STRING}, {_BOOL}) OR {times} <= 1"]
    parts = name.split("_")
    if len(parts) > 1:
        starts, names = string('"' + parts[0]), string(f'"{name}"')
        alone = f"countSubstrings({text}, {starts}) = countSubstrings({text}, {names})"
        conditions.append(f"{alone} OR NOT match({text}, {string(_json_clash(parts))})")
    return all_of(conditions)


def _json_clash(parts: list[str]) -> str:
    """A pattern that is found wherever something else than the one plain key may give the name."""
    other = r'[^a-zA-Z0-9"]'
    splits = range(1, len(parts))
    nested = "|".join(other.join(parts[:n]) for n in splits)
    odd = "|".join("_".join(parts[:n]) + r'[^a-zA-Z0-9_"]' + other.join(parts[n:]) for n in splits)
    key = f'"{other.join(parts)}"{_COLON}'
    return rf'(?s:"(?:{nested})[ ]*"{_COLON}\{{|{key}.*{key}|"(?:{odd})")'


# --- logfmt ----------------------------------------------------------------------------

_BORDER = r'(?:^|[\x00-\x20"])'
_LOGFMT_VALUE = r'("[^"\\]*"|[^\x00-\x20="]*)'
_END = r"(?:[\x00-\x20]|$)"
# What may stand before a key, word by word: a pair in quotes, and, up to a blank, a flag or a pair,
# or what the parser passes over (a quote where a key should be, no key, a wrong byte in a value).
_RUN = r'[^\x00-\x20="]'
_PASSED = rf'{_RUN}*"[^\x00-\x20]*|=[^\x00-\x20]*|{_RUN}+=(?:{_RUN}+[="]|=)[^\x00-\x20]*'
_BEFORE = rf'^(?:[\x00-\x20]+|{_RUN}+="[^"\\]*"|(?:{_RUN}+(?:={_RUN}*)?|{_PASSED})[\x00-\x20])*'


def logfmt_fields(names: list[str], text: str = BODY) -> Fields | None:
    """A key that stands once, outside of quotes, with a value that has no escapes."""
    if not all(map(_PLAIN_NAME.fullmatch, names)):
        return None
    if not names:
        return Fields({})
    sound = all_of([_sound_text(text), *(_logfmt_sound(n, text) for n in names)])
    return Fields({n: _logfmt_field(n, text) for n in names}, sound)


def _sound_text(text: str) -> str:
    """Whether there is nothing in a text that Loki would put a blank for in a value."""
    return f"position({text}, '\\xef\\xbf\\xbd') = 0 AND isValidUTF8({text})"


def _logfmt_key(name: str) -> str:
    return name.replace("_", r'[^\x00-\x20="a-zA-Z0-9]') + "="


def _logfmt_field(name: str, text: str) -> Field:
    found = f"extract({text}, {string(_BORDER + _logfmt_key(name) + _LOGFMT_VALUE)})"
    value = f"if(startsWith({found}, '\"'), substring({found}, 2, length({found}) - 2), {found})"
    return Field(value, f"NOT ({found} IN ('', '\"\"'))")


def _logfmt_sound(name: str, text: str) -> str:
    key = _logfmt_key(name)
    times = f"countMatches({text}, {string(_BORDER + key)})"
    whole = rf'{_BEFORE}{key}(?:"[^"\\]*"|[^\x00-\x20="]*{_END})'
    return f"{times} = 0 OR ({times} = 1 AND match({text}, {string(whole)}))"


# --- regexp and pattern ----------------------------------------------------------------


def _regexp(pattern: str, names: list[str]) -> Fields | None:
    compiled = compile_regexp(pattern)
    groups: dict[str, int] = {}
    for name, number in sorted(compiled.groupindex.items(), key=lambda item: int(item[1])):
        groups.setdefault(sanitize(name if isinstance(name, str) else name.decode()), number)
    source = f"(?-s){pattern}" if "." in pattern else pattern
    found = f"extractGroups(body, {string(source)})"
    fields = {
        n: Field(f"{found}[{groups[n]}]", f"notEmpty({found})") if n in groups else ABSENT
        for n in names
    }
    return Fields(fields, "isValidUTF8(body)")


def _pattern(pattern: str, names: list[str]) -> Fields | None:
    nodes = parse_parser_pattern(pattern)
    matched = ["notEmpty(body)"]
    at = "1"
    if not isinstance(nodes[0], Capture):
        matched.append(f"startsWith(body, {string(nodes[0])})")
        at = str(len(to_bytes(nodes[0])) + 1)
        nodes = nodes[1:]
    fields: dict[str, Field] = {}
    for i in range(0, len(nodes), 2):
        literal = nodes[i + 1] if i + 1 < len(nodes) else None
        rest = f"substring(body, {at})"
        if literal is None:
            fields[nodes[i]] = Field(rest, all_of(matched))
            break
        end = f"position(body, {string(literal)}, toUInt64({at}))"
        cut = f"if({end} = 0, {rest}, substring(body, {at}, {end} - {at}))"
        fields[nodes[i]] = Field(cut, all_of(matched))
        matched.append(f"{end} > 0")
        at = f"({end} + {len(to_bytes(literal))})"
    return Fields({n: fields.get(n, ABSENT) for n in names})
