"""The page of the problems knows every rule, and no other."""

import re
from pathlib import Path

from kelp.base.problems import all_rules
from kelp.model.severity import level_of

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "problems.md").read_text()


def rows():
    for line in PAGE.splitlines():
        if line.startswith("| `") and not line.startswith("| `-"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_every_rule_stands_in_its_place():
    expected = [(f"`{rule.reason}`", level_of(rule.severity)) for _, rule in all_rules()]
    assert expected == [(row[0], row[1]) for row in rows()]


def test_every_attribute_is_named():
    for (_, rule), row in zip(all_rules(), rows(), strict=True):
        groups = {name.rstrip("0123456789") for name in re.findall(r"\(\?P<(\w+)>", rule.pattern)}
        assert {f"`problem_{name}`" for name in groups} == set(filter(None, row[-1].split(", ")))
