"""The pages of `kelp trace` and the code agree."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import msgspec
import pytest

from kelp.cli.main import load_command
from kelp.cli.trace_point import DIFFERENT, NO_STORE, NOT_ON_DISK, NOT_STORED, SAME, Point
from kelp.cli.trace_report import AgentReport, FileReport, LogReport, Missing
from kelp.cli.trace_show import _COLUMNS, TraceAnswer
from kelp.cli.trace_verify import Finding, Verdict
from kelp.model.loss import LOSS_REASONS, Loss
from kelp.node.trace.links import Link
from kelp.node.trace.runtime import LogConfiguration, Setting

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "trace.md").read_text()
HOW_TO = (DOCS / "how-to" / "trace-a-line.md").read_text()


@pytest.mark.parametrize(
    "struct",
    [TraceAnswer, LogReport, FileReport, AgentReport, Missing, Point, Verdict, Finding, Loss, Link,
     Setting, LogConfiguration],
    ids=lambda s: s.__name__,
)  # fmt: skip
def test_the_reference_has_each_key_of_the_json(struct: type[msgspec.Struct]) -> None:
    for field in struct.__struct_fields__:
        assert f"`{field}`" in REFERENCE, field


def test_the_reference_has_each_column_and_word() -> None:
    for column in _COLUMNS:
        assert re.search(rf"^\| .*\b{column}\b.* \|", REFERENCE, re.MULTILINE), column
    for word in (SAME, DIFFERENT, NOT_STORED, NOT_ON_DISK, NO_STORE):
        assert f"`{word}`" in REFERENCE
    for reason in LOSS_REASONS:
        assert f"*{reason.replace('_', ' ')}*" in REFERENCE


def test_commands_in_the_how_to_can_be_typed() -> None:
    lines = [x.strip() for x in HOW_TO.splitlines() if x.startswith("    kelp ")]
    assert len(lines) > 6
    for line in lines:
        name, *arguments = shlex.split(line, comments=True)[1:]
        load_command(name).make_context(name, arguments)
