"""What the agent spends on lines of each format.

    python benchmarks/formats.py CORPUS [LINES]

For every format that Kelp knows, CRI lines are made of its examples, with other digits and other
ids in each, and go through the agent's stages: assemble (stack traces included), parse (severity,
format, problems), enrich, and the encoding of segments. Reading, the spool and shipping come to
what they come to in benchmarks/agent.py, whatever the format.
"""

from __future__ import annotations

# ruff: noqa: E402
from kelp.agent.memory import stay_small

stay_small()  # before numpy and pyarrow are loaded, as the agent does

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa

from agent import lines_of
from agent_stages import raw_batch
from kelp.agent.assemble.traces import RecordAssembler
from kelp.agent.enrich import Enricher
from kelp.agent.parse import Parser
from kelp.agent.segmenter import Segmenter
from kelp.base.formats import FORMATS, TEXT, Format
from kelp.base.settings import Agent
from kelp.model.raw import Instance
from table import Row, markdown
from yardstick import zstd_seconds

TITLE = "Agent, its stages by format of the lines"
LINES = 200_000
VARIANTS = 20_000  # different lines of a format; more compress no worse
BATCH = 16_000  # lines: some 4 MiB, as the agent reads them
# 1.6 times what plain tailing may cost (2.5 zu), for all that is done to a line.
TARGET_ZU = 4.0
PROSE = (
    b"the quick brown fox of shelf 17 jumped over 4 lazy dogs in 120 ms",
    b"2026-11-20 00:00:00,038 [main] INFO com.acme.HitService - session id=463927 after 17ms",
)
_WORDS = re.compile(rb"[0-9a-f]{16,}|[0-9]+")
START = b"2026-11-20T00:00"


def variant(line: bytes, dice: random.Random) -> bytes:
    """The line with other ids and numbers, each as long as it was; times stay times."""

    def other(match: re.Match[bytes]) -> bytes:
        text = match[0]
        if len(text) >= 16:
            return b"%0*x" % (len(text), dice.getrandbits(4 * len(text)))
        if len(text) <= 2 or text.startswith(b"20"):
            return text
        return text[:1] + b"".join(b"%d" % dice.randrange(10) for _ in text[1:])

    return _WORDS.sub(other, line)


def cri_lines(examples: tuple[bytes, ...], count: int) -> list[bytes]:
    """CRI lines of a format, whole batches of them."""
    dice = random.Random(1)
    some = [variant(examples[i % len(examples)], dice) for i in range(VARIANTS)]
    return [
        b"%s:%02d.%09dZ stdout F %s\n" % (START, i // 10_000 % 60, i * 100, some[i % VARIANTS])
        for i in range(count)
    ]


def spent_on(lines: list[bytes]) -> float:
    """CPU seconds of the agent's stages."""
    settings = Agent()
    assembler, parser = RecordAssembler(settings, {}), Parser(settings, {})
    enricher, segmenter = Enricher(), Segmenter("benchmark", "node-1")
    labels = {"dataset": "app", "namespace": "n", "pod": "p", "pod_uid": "u", "container": "c"}
    instance = Instance("n_p_u/c/0", labels)
    spent = 0.0
    for begin in range(0, len(lines), BATCH):
        raw = raw_batch([(instance, b"".join(lines[begin : begin + BATCH]))])
        start = time.process_time()
        whole = assembler.assemble(raw)
        segmenter.add(enricher.log_batch(whole, parser.parse(whole)))
        segmenter.close(1, 0, [], [])
        spent += time.process_time() - start
    return spent


def row_of(name: str, examples: tuple[bytes, ...], zu_per_line: float, count: int) -> Row:
    """One format's cost."""
    lines = cri_lines(examples, count)
    spent_on(lines[:BATCH])
    spent = min(spent_on(lines) for _ in range(2)) / count
    return Row(f"{name}: {spent * 1e9:,.0f} ns a line", spent / zu_per_line, "zu", TARGET_ZU)


def rows(zu_per_line: float, count: int = LINES) -> list[Row]:
    """All formats', and lines of none; `zu_per_line` is what the yardstick needs for a line.

    It is the corpus' line (218 bytes of body) for all of them: lines that are made of few examples
    compress too well to be a yardstick of their own.
    """
    known = [(f.name, examples_of(f)) for f in FORMATS]
    return [
        row_of(name, examples, zu_per_line, count) for name, examples in [(TEXT, PROSE), *known]
    ]


def examples_of(known: Format) -> tuple[bytes, ...]:
    """Those of one line."""
    return tuple(line for line in known.examples if b"\n" not in line)


def table(corpus: Path, count: int = LINES) -> str:
    """The rows as Markdown; in a process of its own, lest other figures change."""
    command = [sys.executable, __file__, str(corpus), str(count)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    pa.set_cpu_count(1)
    files = sorted(Path(sys.argv[1]).rglob("*.log"))
    count = int(sys.argv[2]) if len(sys.argv) > 2 else LINES
    print(markdown(TITLE, rows(zstd_seconds(files) / lines_of(files), count)))


if __name__ == "__main__":
    main()
