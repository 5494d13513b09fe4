from pathlib import Path

from kelp.base.oom import Kill
from kelp.base.oom.assemble import _IDLE_LINES, _MAX_REPORTS
from kelp.base.oom.line import MAX_LINE_CHARS
from kelp.base.oom.tasks import MAX_ROWS
from kelp.cli.oom import oom

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "oom.md").read_text()


def test_every_field_is_in_the_reference():
    names = [name.rstrip("_") for name in Kill.__struct_fields__]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_option_is_in_the_reference():
    options = [option for p in oom.params for option in p.opts if option.startswith("--")]
    assert [o for o in options if o not in PAGE and o != "--output"] == []


def test_every_limit_is_in_the_reference():
    for limit in (MAX_ROWS, _MAX_REPORTS, _IDLE_LINES, MAX_LINE_CHARS):
        assert f"{limit:,}" in PAGE
