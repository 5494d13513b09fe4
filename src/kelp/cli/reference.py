"""`python -m kelp.cli.reference`: write the reference pages that are made from the code.

    docs/reference/configuration.md    from the Structs in kelp.base.settings
    docs/reference/cli.md              from the commands' own help
    docs/reference/formats.md          from the descriptions in kelp.base.formats

A test compares the pages with what is written here, so neither can lag behind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from kelp.base.config_schema import (
    Key,
    expectation,
    field_docs,
    keys,
    list_item,
    section_of,
    sections,
)
from kelp.cli.main import COMMANDS, kelp, load_command
from kelp.cli.reference_formats import formats_page

_WIDTH = 96

_CONFIGURATION = """\
# Configuration

Made from the code by `python -m kelp.cli.reference`; a test holds it to the code.

**Where from.** Each value comes from the first of these that names it: a flag of the command, an
environment variable, the configuration file, the default. `kelp config show` prints every value
in force with its origin, `kelp config check [FILE]` finds what is wrong, and `kelp config schema`
prints a JSON Schema for editors.

**The file** is the one that `--config` names, else `$KELP_CONFIG`, else `kelp/kelp.yaml` in
`$XDG_CONFIG_HOME` (`~/.config`), else `/etc/kelp/kelp.yaml`. It is YAML in UTF-8; unknown keys,
keys that stand twice and values that do not fit are errors with their line and column:

    kelp.yaml:4:11: expected int >= 0; got "x"
    kelp.yaml:7:3: expected one of listen, node, … in agent; got "pod_dir"; did you mean pods_dir?

Text needs no quotes: where text is wanted, `on`, `12` and `1:30` are themselves.

**Environment variables** are called as their keys: `KELP_`, then the path in upper case with `_`
between its parts. Lists are given as YAML or JSON. An empty variable counts as not set. A `KELP_`
variable that sets nothing is warned of and not refused, for Kubernetes makes such variables too
(for a Service called `kelp`).

Sizes are bytes, times are seconds (or days, where the name says so); units stand in the names.
"""

_CLI = """\
# The command line

Made from the code by `python -m kelp.cli.reference`; a test holds it to the code.

**Exit status.** 0: done. 1: an error, told in one line on standard error that begins with `kelp: `.
2: the command line is wrong. 130: Ctrl-C. 141: the reader of the output went away (`| head`).

**Which server.** `--url`, else `$KELP_URL`, else the `kelp up` that this user has running, else the
address in this machine's configuration. **Which token.** `--token-file`, else `$KELP_TOKEN`, else
`$KELP_TOKEN_FILE`, else the token that lies on this machine; that one is sent to a server on this
machine only. **TLS.** `--ca-file`, else `$KELP_CA_FILE`, else the system's authorities.

**Completion.** `eval "$(_KELP_COMPLETE=bash_source kelp)"`; also `zsh_source` and `fish_source`.

**Patterns** are [RE2](https://github.com/google/re2/wiki/Syntax). **Times** are RFC 3339
(`2026-11-20T10:11:12Z`), local without a zone (`2026-11-20 10:11`, `10:11`), seconds or nanoseconds
since 1970, or so long ago (`10m`, `1h30m`, `7d`).
"""


def configuration_page() -> str:
    """docs/reference/configuration.md."""
    return "\n".join([_CONFIGURATION, *_all_sections()]).rstrip() + "\n"


def cli_page() -> str:
    """docs/reference/cli.md."""
    parts = [_CLI, _help("kelp", kelp)]
    for name in COMMANDS:
        command = load_command(name)
        parts.append(_help(f"kelp {name}", command))
        if isinstance(command, click.Group):
            parts += [_help(f"kelp {name} {n}", c) for n, c in sorted(command.commands.items())]
    return "\n".join(parts).rstrip() + "\n"


PAGES = {
    "configuration.md": configuration_page,
    "cli.md": cli_page,
    "formats.md": formats_page,
}


def main(folder: Path) -> None:
    """Write all pages into a folder."""
    for name, page in PAGES.items():
        (folder / name).write_text(page())


def _all_sections() -> Iterator[str]:
    every = list(keys())
    for path, doc in sections():
        own = [k for k in every if k.path.rpartition(".")[0] == path]
        if path:
            yield f"## {path}\n\n{doc}\n"
        else:
            yield "## The top level\n"
        yield from _table(own)
        yield from _lists(own)


def _table(own: list[Key]) -> Iterator[str]:
    yield "| key | variable | value | default | |"
    yield "|---|---|---|---|---|"
    for key in own:
        cells = (
            f"`{key.path}`",
            f"`{key.env}`",
            expectation(key.annotation),
            _default(key),
            _cell(key.doc),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _default(key: Key) -> str:
    return _cell(key.default_text if key.default is None else f"`{key.default_text}`")


def _lists(own: list[Key]) -> Iterator[str]:
    """What stands in the items of keys that are lists of mappings."""
    for key in own:
        item = list_item(key.annotation)
        section = section_of(item) if item is not None else None
        if section is None:
            continue
        yield f"Each item of `{key.path}`:\n"
        yield "| key | |"
        yield "|---|---|"
        for name, doc in field_docs(section).items():
            yield f"| `{name}` | {_cell(doc)} |"
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _help(title: str, command: click.Command) -> str:
    context = click.Context(
        command, info_name=title, terminal_width=_WIDTH, help_option_names=["-h", "--help"]
    )
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))
