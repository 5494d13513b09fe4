"""docs/reference/formats.md, made from the descriptions in kelp.base.formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kelp.base.formats import FORMATS, Format
from kelp.base.formats.format import REST, Rest
from kelp.base.formats.ids import MEANINGS

_HEAD = """\
# Formats, and the fields of their lines

Made from the code by `python -m kelp.cli.reference`; a test holds it to the code.

The agent finds out what the lines of each stream are, and writes it into the stream's labels:
`format` is one of the names below, and `dataset` follows from it where a dataset is named. A stream
of no known format has no such label.

**Fields** are computed from the line when a query names them (`{format="ingress-nginx"} |
status="502"`), by `| fields`, and by `kelp parse`; a field that is empty or `-` is absent. Lines of
JSON and logfmt have all their own keys as fields, nested ones joined by `_`; the fields that are
listed for them are further names of these. Every line has `event_time` (RFC 3339) where its format
tells the time, and these ids where they stand in it, whatever its format:
"""

_OVERRIDE = """\
**To name a format yourself**: the annotation `kelp.dev/format: NAME` on a pod, or
`kelp.dev/format.CONTAINER: NAME` for one of its containers; or `agent.formats` in the
configuration; `kelp parse --as NAME FILE` tries one. `text` is the name for "of none".
"""

_RESTS = {
    Rest.JSON: "JSON",
    Rest.LOGFMT: "key=value pairs",
    Rest.KLOG: "klog's key=value pairs",
}


def formats_page() -> str:
    """The whole page."""
    parts = [_HEAD, *_table(MEANINGS.items()), "", _OVERRIDE]
    parts += ["| format | dataset | |", "|---|---|---|"]
    parts += [
        f"| [`{f.name}`](#{f.name}) | {f.dataset or ''} | {_cell(f.title)} |" for f in FORMATS
    ]
    for known in FORMATS:
        parts += ["", *_section(known)]
    return "\n".join(parts).rstrip() + "\n"


def _section(known: Format) -> Iterator[str]:
    yield f"## {known.name}"
    yield ""
    yield f"{known.title}. [Description]({known.source})."
    yield ""
    yield "```text"
    yield from (line.decode() for line in known.examples)
    yield "```"
    yield ""
    yield " ".join(_facts(known))
    yield ""
    rows = [(name, _meaning(known, name)) for name in known.fields]
    yield from _table(rows)


def _facts(known: Format) -> Iterator[str]:
    yield f"Dataset: `{known.dataset}`." if known.dataset else "Dataset: that of its source."
    if known.keys and any(known.keys):
        groups = (", ".join(f"`{k}`" for k in group) for group in known.keys)
        yield f"Known by its keys: {'; or '.join(groups)}."
    if known.rest is not Rest.NOTHING and any(
        REST.encode() in p.groupindex for p in known.compiled
    ):
        yield f"Behind what is listed here, the line is read as {_RESTS[known.rest]}."
    if known.event_time:
        yield f"`event_time` is `{known.event_time}`."


def _meaning(known: Format, name: str) -> str:
    sources = known.aliases.get(name)
    named = f" ({', '.join(f'`{s}`' for s in sources)})" if sources else ""
    return known.fields[name] + named


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "| field | |"
    yield "|---|---|"
    for name, meaning in rows:
        yield f"| `{name}` | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
