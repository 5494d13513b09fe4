"""Write CRI lines at an even rate over many files, as many small pods do."""

from __future__ import annotations

import argparse
import datetime as dt
import random
import time
from pathlib import Path


def line(rng: random.Random) -> bytes:
    """One CRI line with a JSON body of some 150 bytes."""
    now = dt.datetime.now(dt.UTC)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{rng.randint(100, 999)}Z"
    level = rng.choices(["info", "warn", "error"], [90, 7, 3])[0]
    return (
        f'{stamp} stdout F {{"level":"{level}","msg":"request served",'
        f'"path":"/api/v1/orders/{rng.randint(1, 9999)}","dur_ms":{rng.random() * 500:.3f},'
        f'"trace_id":"{rng.getrandbits(128):032x}"}}\n'
    ).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pods", type=Path)
    parser.add_argument("--files", type=int, required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    a = parser.parse_args()
    rng, files = random.Random(7), []
    for n in range(a.files):
        folder = a.pods / f"load_web-{n}_{n:08x}-0000-4000-8000-000000000000" / "app"
        folder.mkdir(parents=True)
        files.append((folder / "0.log").open("ab", buffering=0))
    ticks_per_s = 10
    per_file = a.rate // a.files // ticks_per_s
    start = time.monotonic()
    for tick in range(int(a.seconds * ticks_per_s)):
        for f in files:
            f.write(b"".join(line(rng) for _ in range(per_file)))
        time.sleep(max(0.0, start + (tick + 1) / ticks_per_s - time.monotonic()))


if __name__ == "__main__":
    main()
