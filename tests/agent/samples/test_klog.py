"""klog as its own documentation shows it: a message with a line break is one record."""

from __future__ import annotations

import json

import pytest

from tests.agent.samples.samples import DATA, assembled
from tests.agent.samples.test_multiline import STAMP

LOG = DATA / "klog-journald" / "kubernetes-docs-klog.log"
EXPECTED = LOG.with_name("kubernetes-docs-klog.expected.json")

pytestmark = pytest.mark.skipif(
    not EXPECTED.exists(), reason="no ../shared/data/klog-journald here"
)


def test_lines_of_a_message_are_one_record() -> None:
    lines = LOG.read_text().splitlines()
    groups = [case["lines"] for case in json.loads(EXPECTED.read_text())]
    found = assembled([f"{STAMP} stderr F {line}".encode() for line in lines])
    expected = ["\n".join(lines[number - 1] for number in group) for group in groups]
    assert expected == [r.body.decode() for r in found]
