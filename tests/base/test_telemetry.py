"""Log lines: one a message, whatever it holds, and readable by a logfmt parser."""

from __future__ import annotations

import io
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.telemetry import LogfmtFormatter, set_log_level, set_up_logging


@pytest.fixture(autouse=True)
def restored():
    root, kelp = logging.getLogger(), logging.getLogger("kelp")
    before = (root.handlers[:], root.level, kelp.level)
    yield
    root.handlers[:], level, kelp_level = before
    root.setLevel(level)
    kelp.setLevel(kelp_level)


def line(message: str, *args: object, **extra: object) -> str:
    record = logging.makeLogRecord(
        {"name": "kelp.x", "levelname": "INFO", "msg": message, "args": args, "created": 0.1234}
        | extra
    )
    return LogfmtFormatter().format(record)


def test_the_form():
    assert line("segment %s refused", 7, seq=3, reason='say "no"\n') == (
        "time=1970-01-01T00:00:00.123Z level=info logger=kelp.x "
        'msg="segment 7 refused" reason="say \\"no\\"\\n" seq=3'
    )


def test_plain_values_need_no_quotes_and_empty_ones_do():
    assert line("x", a="b/c:1", b="", c=None).endswith('msg=x a=b/c:1 b="" c=None')


@given(st.text())
def test_one_line_whatever_it_holds(text):
    found = line("%s", text, extra=text)
    assert len(found.splitlines()) <= 1
    assert found.isprintable()
    pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|[^" ]*)(?: |$)', found)
    assert [name for name, _ in pairs] == ["time", "level", "logger", "msg", "extra"]


def test_a_traceback_stays_on_the_line():
    out = io.StringIO()
    set_up_logging("info", out)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("kelp.test").exception("failed")
    assert out.getvalue().count("\n") == 1
    assert "RuntimeError: boom" in out.getvalue()


@pytest.mark.parametrize(
    ("level", "kelp", "other"),
    [("debug", 4, 2), ("info", 3, 2), ("warning", 2, 2), ("error", 1, 1)],
)
def test_levels(level, kelp, other):
    """Of debug, info, warning and error; other libraries are quiet below warning."""
    out = io.StringIO()
    set_up_logging("info", out)
    set_log_level(level)
    for name, expected in (("kelp.test", kelp), ("elsewhere", other)):
        out.truncate(0)
        out.seek(0)
        logger = logging.getLogger(name)
        logger.debug("d")
        logger.info("i")
        logger.warning("w")
        logger.error("e")
        assert out.getvalue().count("\n") == expected
