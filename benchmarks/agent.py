"""What the agent costs: in bulk over the corpus, and at a steady 10,000 lines a second."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from process import Process, wait_for
from sink import Sink
from table import Row
from yardstick import zstd_seconds

STEADY_FILES = 100
STEADY_LINES_PER_S = 10_000
STEADY_SECONDS = 30


def lines_of(files: list[Path]) -> int:
    """How many lines the files hold."""
    return sum(block.count(b"\n") for f in files for block in [f.read_bytes()])


# What plain tailing leaves out.
PLAIN = {"KELP_AGENT_RECOGNISE_FORMATS": "false", "KELP_AGENT_JOIN_TRACES": "false"}


def start_agent(
    pods: Path, sink: Sink, work: Path, environment: Mapping[str, str] | None = None
) -> Process:
    """`kelp agent` over a pods folder, shipping into a sink, with an empty spool of its own."""
    work.mkdir(parents=True)
    (work / "token").write_text("benchmark\n")
    return Process(
        "agent", "--data-dir", str(work), "--pods-dir", str(pods),
        "--url", sink.url, "--listen", "127.0.0.1:0", log=work / "agent.log",
        environment=environment,
    )  # fmt: skip


def bulk(corpus: Path, work: Path, keep: Path) -> tuple[list[Row], float]:
    """The whole corpus: plain tailing, and with all that is done to lines by default.

    Plain is what the target names: tail, CRI, path metadata, severity, durable spool, shipping.
    """
    files = sorted(corpus.rglob("*.log"))
    zu, expected = zstd_seconds(files), lines_of(files)
    keep.mkdir(parents=True)
    cpu, _, _ = _whole(corpus, work / "plain", Sink(), expected, PLAIN)
    sink = Sink(keep)
    all_cpu, wall, peak = _whole(corpus, work / "all", sink, expected, {})
    return [
        Row("agent, whole corpus, plain tailing: CPU", cpu / zu, "zu", 2.5),
        Row("agent, whole corpus, all of it on: CPU", all_cpu / zu, "zu", 4.0),
        Row("agent, whole corpus: wall time", wall, "s"),
        Row("agent, whole corpus: peak memory", peak, "MiB"),
        Row("shipped", sink.bytes / 1e6, "MB"),
    ], zu


def _whole(
    corpus: Path, work: Path, sink: Sink, expected: int, environment: Mapping[str, str]
) -> tuple[float, float, float]:
    """(CPU seconds, seconds, peak MiB) of an agent that takes the corpus from files to a sink."""
    work.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with start_agent(corpus / "pods", sink, work, environment) as agent:
        wait_for("all records", lambda: sink.records >= expected, agent, 300)
        wall, cpu, peak = time.monotonic() - started, agent.cpu_seconds(), agent.peak_rss_mib()
    sink.close()
    if sink.records != expected:
        raise RuntimeError(f"expected {expected} records; got {sink.records}")
    return cpu, wall, peak


def steady(work: Path) -> list[Row]:
    """10,000 lines a second over 100 files."""
    pods, sink = work / "pods", Sink()
    pods.mkdir(parents=True)
    rate = ["--files", str(STEADY_FILES), "--rate", str(STEADY_LINES_PER_S)]
    seconds = ["--seconds", str(STEADY_SECONDS + 15)]
    writer_script = Path(__file__).with_name("steady_writer.py")
    writer = subprocess.Popen([sys.executable, str(writer_script), str(pods), *rate, *seconds])
    try:
        with start_agent(pods, sink, work / "data") as agent:
            wait_for("first records", lambda: sink.records > 10 * STEADY_LINES_PER_S, agent, 60)
            cpu, records, started = agent.cpu_seconds(), sink.records, time.monotonic()
            time.sleep(STEADY_SECONDS)
            wall = time.monotonic() - started
            cpu, records = agent.cpu_seconds() - cpu, sink.records - records
            rss = agent.rss_mib()
    finally:
        writer.kill()
        writer.wait()
        sink.close()
    return [
        Row("agent at 10,000 lines/s over 100 files: lines collected", records / wall, "lines/s"),
        Row("agent at 10,000 lines/s over 100 files: CPU", cpu / wall, "core", 0.06),
        Row("agent at 10,000 lines/s over 100 files: memory", rss, "MiB", 90),
    ]
