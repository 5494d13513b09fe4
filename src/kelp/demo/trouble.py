"""What goes wrong on the simulated node: crash loops, a run out of memory, lines that are too long.

Each is a program that restarts its container as the kubelet would: with a delay that doubles from
one crash to the next, and a new log file for each run.
"""

from __future__ import annotations

import json

from kelp.demo import formats, traces
from kelp.demo.kubelet import Pod
from kelp.demo.schedule import Program
from kelp.demo.workloads import Workload, World, deployment

# The kubelet's are 10 s and 5 min; within some minutes a newcomer shall see several restarts.
BACKOFF_FIRST_S = 10.0
BACKOFF_MAX_S = 60.0

REPORT_LIMIT_MIB = 256
REPORT_STEP_MIB = 24

CERTIFICATE_INTERVAL_S = 240.0
CERTIFICATE_FIRST_S = 150.0

LONG_LINE_INTERVAL_S = 7.0
PANIC_EVERY_LINES = 40


def programs(world: World, web: Workload) -> list[Program]:
    """All that goes wrong, for ever."""
    reports = deployment(world, "checkout", "report-builder", ["builder"], 1)
    indexer = deployment(world, "checkout", "search-indexer", ["indexer"], 1)
    return [
        report_builder(world, reports.pods[0]),
        search_indexer(world, indexer.pods[0]),
        expired_certificate(world, web.pods[0]),
    ]


def report_builder(world: World, pod: Pod) -> Program:
    """Takes more memory than it may; the kernel kills it, without a last word."""
    crashes = 0
    while True:
        heap = 40
        _info(world, pod, "report builder 3.2.0 starts", limit_mib=REPORT_LIMIT_MIB)
        for chunk in range(1, 1000):
            yield 0.8
            heap += REPORT_STEP_MIB
            if heap > REPORT_LIMIT_MIB:
                break
            _info(world, pod, "chunk loaded", chunk=chunk, heap_mib=heap)
            if heap > 0.8 * REPORT_LIMIT_MIB:
                line = formats.logfmt_line(world.now_ns, "warn", "memory is short", heap_mib=heap)
                pod.err("builder", line)
        yield from _restart(world, pod, "builder", crashes)
        crashes += 1


def expired_certificate(world: World, pod: Pod) -> Program:
    """An app that ends with a traceback from time to time, and says at its start who it is."""
    yield CERTIFICATE_FIRST_S
    while True:
        pod.err("app", traces.PYTHON_CERTIFICATE)
        yield from _restart(world, pod, "app", 0)
        message = f"payments web starts, run {pod.containers['app'].restart}"
        pod.out("app", formats.json_line(world.now_ns, "info", message, version="2.14.1"))
        yield CERTIFICATE_INTERVAL_S


def search_indexer(world: World, pod: Pod) -> Program:
    """Logs whole documents in one line, far longer than a fragment; panics now and then."""
    lines = 0
    vocabulary = [world.names.suffix() for _ in range(1_000)]
    while True:
        yield LONG_LINE_INTERVAL_S
        lines += 1
        words = world.random.choices(vocabulary, k=world.random.randrange(3_000, 8_000))
        document = {"level": "debug", "msg": "document indexed", "id": lines, "words": words}
        pod.out("indexer", json.dumps(document))
        if lines % PANIC_EVERY_LINES == 0:
            pod.err("indexer", traces.GO_PANIC)
            yield from _restart(world, pod, "indexer", 0)


def _restart(world: World, pod: Pod, container: str, crashes: int) -> Program:
    pod.ended.add(container)
    yield min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0**crashes)
    world.kubelet.restart(pod, container)


def _info(world: World, pod: Pod, message: str, **fields: object) -> None:
    pod.out("builder", formats.logfmt_line(world.now_ns, "info", message, **fields))
