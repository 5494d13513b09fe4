#!/usr/bin/env python3
"""A journalctl whose journal is a file of the export format, DIRECTORY/entries.export.

It follows the file as it grows, and begins at --cursor as journalctl does: at that entry or, if it
is gone, at the next one. Files beside it change how it behaves: `die` lets it end, once; `old` lets
it refuse --output-fields; `calls` gets its arguments, a line each call.
"""

import re
import select
import sys
import time
from pathlib import Path


def main() -> int:
    options = dict(a[2:].partition("=")[::2] for a in sys.argv[1:] if a.startswith("--"))
    folder = Path(options["directory"])
    with (folder / "calls").open("a") as calls:
        calls.write(" ".join(sys.argv[1:]) + "\n")
    if (folder / "old").exists() and "output-fields" in options:
        print(f"journalctl: unrecognized option '--output-fields={options['output-fields']}'",
              file=sys.stderr)  # fmt: skip
        return 1
    journal = (folder / "entries.export").open("rb")
    data = journal.read()
    if "cursor" in options:
        number = re.fullmatch(r"n=(\d+)", options["cursor"])
        if number is None:
            print("Failed to seek to cursor: Invalid argument", file=sys.stderr)
            return 1
        cursors = re.finditer(rb"__CURSOR=n=(\d+)\n", data)
        at = (m.start() for m in cursors if int(m[1]) >= int(number[1]))
        data = data[next(at, len(data)) :]
    reader = select.poll()
    reader.register(sys.stdout, 0)
    while not reader.poll(0):  # as long as somebody reads
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        if (folder / "die").exists():
            (folder / "die").unlink()
            print("Bus error", file=sys.stderr)
            return 1
        time.sleep(0.02)
        data = journal.read()
    return 0


sys.exit(main())
