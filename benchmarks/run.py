"""Measure Kelp against its targets and print a table.

    python benchmarks/run.py CORPUS [--write]

CORPUS is a folder with `pods/` in it (the design's corpus generator makes it; 2,500,000 lines for
figures that compare with the targets). --write puts the table into docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
from pathlib import Path

import agent
import formats
import server
from queries import design_queries, heavy_queries
from table import markdown

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "performance.md"


def machine() -> str:
    """What the figures were measured on."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{model}, {os.cpu_count()} cores, {pages:.0f} GiB, Linux {platform.release()}"


def measure(corpus: Path, work: Path) -> str:
    """All tables, as Markdown."""
    kept = work / "segments"
    bulk, zu = agent.bulk(corpus, work / "agent", kept)
    steady = agent.steady(work / "steady")
    queries = design_queries(server.some_needle(corpus))
    heavy = heavy_queries()
    stored = server.ingest(corpus, kept, work / "server", zu, queries + heavy)
    costs = len(stored) - len(queries) - len(heavy)
    answers = costs + len(queries)
    return "\n".join(
        [
            f"Machine: {machine()}. One zu was {zu:.2f} CPU seconds.\n",
            markdown("Agent", bulk + steady),
            formats.table(corpus),
            markdown("Server", stored[:costs]),
            markdown("Queries over HTTP, warm, the best of three", stored[costs:answers]),
            markdown("Heavier queries, likewise", stored[answers:]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--write", action="store_true", help="into docs/reference/performance.md")
    a = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="kelp-bench-"))
    try:
        tables = measure(a.corpus, work)
    finally:
        shutil.rmtree(work)
    print(tables)
    if a.write:
        head = PAGE.read_text().split("<!-- measured -->")[0]
        PAGE.write_text(f"{head}<!-- measured -->\n\n{tables}")


if __name__ == "__main__":
    main()
