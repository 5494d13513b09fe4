"""Whether a text is a SELECT that may run: over Kelp's views alone, with functions that only
compute.

The engine's own parser reads the text (it is given as a value, so nothing of it can run), writes
it back in one form, without comments, and shows its syntax tree. Kelp only walks that tree, and
knows what is allowed; everything else is refused:

    tables       names without a database that are no table of the store: the views, and what the
                 text itself names in WITH; also after IN, where a bare name may be a table
    functions    of the engine itself, of categories that compute from their arguments alone (no
                 file, no dictionary, no setting, no server's name, no sleep); table functions: none
                 but numbers
    clauses      no SETTINGS, no INTO OUTFILE, no FORMAT, no parameters
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kelp.server.ports import Engine, EngineError, QueryError

VIEWS = ("logs", "log_losses", "log_streams")

# Categories of system.functions. A new one is not allowed until somebody has looked at it.
_CATEGORIES = frozenset(
    {
        "Aggregate Functions", "Arithmetic", "Arrays", "Bit", "Bitmap", "Comparison", "Conditional",
        "Dates and Times", "Distance", "Encoding", "Hash", "IP Address", "JSON", "Logical", "Map",
        "Mathematical", "Null", "Random Number", "Rounding", "String", "String Replacement",
        "String Search", "String Splitting", "Time Window", "Tuple", "Type Conversion", "URL",
        "UUID", "Window Functions",
    }
)  # fmt: skip

# Of the mixed categories; and what the parser makes of syntax (CAST, CASE, x -> y).
_ALSO = frozenset(
    {
        "_cast", "bar", "bytesize", "casewithexpression", "countdigits",
        "formatreadabledecimalsize", "formatreadablequantity", "formatreadablesize",
        "formatreadabletimedelta", "grouping",
        "identity", "ignore", "lambda", "materialize", "neighbor", "parsereadablesize",
        "parsetimedelta", "runningdifference", "totypename", "transform", "visiblewidth",
    }
)  # fmt: skip

# Within an allowed category, but they read models of the server, or number things in its keeper.
_NEVER = frozenset({"naivebayesngrams", "generatesnowflakeid", "generateserialid"})

_TABLE_FUNCTIONS = frozenset({"numbers"})
_SELECTS = frozenset({"SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery"})
_CHILDREN = re.compile(r" \(children (\d+)\)$")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`((?:[^`\\]|\\.)*)`", re.DOTALL)
_INS = frozenset(
    f"{where}{negated}{nulls}in{sets}"
    for where in ("", "global")
    for negated in ("", "not")
    for nulls in ("", "null")
    for sets in ("", "ignoreset")
)
_FORBIDDEN = {
    "Set": "no SETTINGS clause",
    "ColumnsApplyTransformer": "no APPLY",
    "QueryParameter": "no {parameters}",
}


@dataclass(frozen=True)
class _Node:
    depth: int
    kind: str
    name: str
    children: int


class SqlChecker:
    """Asks the engine once what functions it has."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._allowed: frozenset[str] | None = None
        self._refused: frozenset[str] = frozenset()
        self._combinators: tuple[str, ...] = ()

    def checked(self, sql: str) -> str:
        """The text in the engine's own form; raises QueryError where it may not run."""
        text = self._formatted(sql)
        _check_names(text)
        nodes = self._tree(text)
        _check_root(nodes)
        if self._allowed is None:
            self._learn()
        tables = self._tables()
        for name in _table_names(nodes):
            _check_table(name, tables)
        for name in _function_names(nodes):
            self._check_function(name)
        for node in nodes:
            if node.kind == "Identifier" and node.name.lower() in self._refused:
                # A bare name can be a function: arrayMap(file, …).
                self._check_function(node.name)
            if node.kind in _FORBIDDEN:
                raise QueryError(f"expected {_FORBIDDEN[node.kind]} in SQL over the views; got one")
        return text

    def _formatted(self, sql: str) -> str:
        try:
            rows = self._engine.query(
                "SELECT formatQuerySingleLine({sql:String}) AS text", parameters={"sql": sql}
            )
        except EngineError as e:
            raise QueryError(_syntax(str(e))) from e
        text: bytes = rows.column("text")[0].as_py()
        try:
            return text.decode()
        except UnicodeDecodeError as e:
            # The engine writes '\xff' back as that very byte, which no text of a query can hold.
            raise QueryError(
                "expected SQL whose literals are UTF-8; got a literal with the byte "
                f"0x{text[e.start]:02x}; write it as unhex('{text[e.start]:02x}')"
            ) from e

    def _tree(self, text: str) -> list[_Node]:
        try:
            rows = self._engine.query(f"EXPLAIN AST {text}")
        except EngineError as e:
            raise QueryError(_syntax(str(e))) from e
        lines = (line.decode() for line in rows.column(0).to_pylist())
        return [_node(line) for text in lines for line in text.split("\n") if line.strip()]

    def _tables(self) -> frozenset[str]:
        rows = self._engine.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
        )
        return frozenset(name.decode() for name in rows.column("name").to_pylist())

    def _check_function(self, name: str) -> None:
        base = name.lower()
        while base not in (self._allowed or ()):
            suffix = next((c for c in self._combinators if base.endswith(c) and base != c), None)
            if suffix is None:
                raise QueryError(
                    f"expected functions that compute from the views alone; got {name}()"
                )
            base = base.removesuffix(suffix)

    def _learn(self) -> None:
        rows = self._engine.query(
            "SELECT lower(f.name) AS name, "
            "if(f.alias_to = '', f.categories, a.categories) AS kind, "
            "toString(f.origin) AS origin FROM system.functions AS f "
            "LEFT JOIN system.functions AS a ON a.name = f.alias_to"
        ).to_pylist()
        allowed, refused = set(_ALSO), set(_NEVER)
        for row in rows:
            name, kind, origin = (row[c].decode() for c in ("name", "kind", "origin"))
            fine = origin == "System" and all(c in _CATEGORIES for c in kind.split(","))
            (allowed if fine else refused).add(name)
        combinators = self._engine.query(
            "SELECT lower(name) AS name FROM system.aggregate_function_combinators "
            "WHERE NOT is_internal ORDER BY length(name) DESC"
        )
        self._combinators = tuple(c.decode() for c in combinators.column("name").to_pylist())
        self._refused = frozenset(refused - _ALSO)
        self._allowed = frozenset(allowed - self._refused)


def _check_root(nodes: list[_Node]) -> None:
    root = nodes[0]
    if root.kind not in _SELECTS:
        raise QueryError(f"expected one SELECT; got {root.kind.removesuffix('Query')}")
    if root.children != 1:
        raise QueryError("expected a SELECT without INTO OUTFILE, FORMAT and SETTINGS; got one")


def _check_table(name: str, tables: frozenset[str]) -> None:
    if name in VIEWS:
        return
    if "." in name or name in tables:
        raise QueryError(f"expected one of the views {', '.join(VIEWS)}; got the table {name}")


def _table_names(nodes: list[_Node]) -> Iterator[str]:
    """Names in FROM and JOIN, and bare names on the right of IN."""
    for i, node in enumerate(nodes):
        if node.kind == "TableIdentifier":
            yield node.name
        elif node.kind == "Function" and _is_in(node.name):
            inside = nodes[i + 1 : _end(nodes, i)]
            yield from (
                n.name for n in inside if n.kind == "Identifier" and n.depth == node.depth + 2
            )


def _function_names(nodes: list[_Node]) -> Iterator[str]:
    for before, node in zip([nodes[0], *nodes], nodes, strict=False):
        if node.kind != "Function":
            continue
        if before.kind == "TableExpression" and before.depth == node.depth - 1:
            if node.name not in _TABLE_FUNCTIONS:
                raise QueryError(f"expected one of the views; got the table function {node.name}()")
        else:
            yield node.name


def _is_in(name: str) -> bool:
    return (
        name.lower().replace("global", "").replace("not", "").replace("null", "").startswith("in")
    )


def _end(nodes: list[_Node], start: int) -> int:
    """Where the subtree of that node ends."""
    depth = nodes[start].depth
    rest = range(start + 1, len(nodes))
    return next((i for i in rest if nodes[i].depth <= depth), len(nodes))


def _node(line: str) -> _Node:
    """One line of the tree: depth as spaces, kind, name, (alias …), (children n)."""
    kind, _, rest = line.lstrip(" ").partition(" ")
    children = _CHILDREN.search(line)
    name = "" if rest.startswith("(") else rest.split(" (")[0]
    return _Node(len(line) - len(line.lstrip(" ")), kind, name, int(children[1]) if children else 0)


def _check_names(text: str) -> None:
    """The tree is read line by line: no name may break a line."""
    for match in _QUOTED.finditer(text):
        if match[1] is not None and ("\\" in match[1] or not match[1].isprintable()):
            raise QueryError(f"expected names of printable characters; got {match[0]}")


def _syntax(message: str) -> str:
    """The engine's complaint without what only its developers want to know."""
    text = message.split("DB::Exception: ", 1)[-1]
    return f"expected a SELECT that the engine can read; {text.split(' In scope ')[0][:500]}"
