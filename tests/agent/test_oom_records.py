"""A kill between two lives of the agent: its report is one record, and an error, in the segment."""

import os

from ..base.oom.reports import POD, memcg_6
from .test_sources import Node


def test_a_report_is_one_record_over_a_kill_of_the_agent(tmp_path):
    node = Node(tmp_path)
    texts = memcg_6()
    records = [f"4,{i},{1000 + i},-;{text}".encode() for i, text in enumerate(texts)]
    half = len(records) // 2
    for record in records[:half]:
        os.write(node.kmsg[1], record)
    for _ in range(5):
        node.pipeline.step()
    node.kill()
    for record in [*records[half:], b"6,200,9000000,-;later"]:
        os.write(node.kmsg[1], record)
    node.take_until(2)
    (kill,) = [r for r in node.records if dict(r["attributes"]).get("problem")]
    marks = dict(kill["attributes"])
    assert ("OOMKilling", POD, "4242") == (
        marks["problem"], marks["oom_pod_uid"], marks["oom_pid"],
    )  # fmt: skip
    assert (0, 17, "kernel") == (
        kill["position"], kill["severity_number"], kill["labels"]["dataset"],
    )  # fmt: skip
    assert "\n".join(texts).encode() == kill["body"]
    node.pods.close()
    for source in node.others:
        source.collector.close()
    node.spool.close()
