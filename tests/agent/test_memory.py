"""Which pages may be given back, told from the kernel's own text; and that doing so is harmless."""

from __future__ import annotations

import subprocess
import sys

from kelp.agent.memory import _unchanged_file_ranges

SMAPS = """\
55d0-55d4 r--p 00000000 08:02 123 /usr/bin/python3
Rss:                 100 kB
Anonymous:             0 kB
55d4-55d8 r-xp 00004000 08:02 123 /usr/bin/python3
Anonymous:             0 kB
55d8-55dc r--p 00008000 08:02 123 /usr/bin/python3
Anonymous:             4 kB
55dc-55e0 rw-p 0000c000 08:02 123 /usr/bin/python3
Anonymous:             0 kB
55e0-55e4 r--s 00000000 08:02 124 /usr/share/shared
Anonymous:             0 kB
6000-6010 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
7000-7010 rw-p 00000000 00:00 0 [heap]
Anonymous:             0 kB
7f00-7f10 r--p 00000000 00:00 0
Anonymous:             0 kB
"""


def test_only_private_read_only_unchanged_files():
    assert list(_unchanged_file_ranges(SMAPS)) == [(0x55D0, 0x55D4), (0x55D4, 0x55D8)]


def test_a_process_goes_on_after_it_with_less_memory_and_without_pandas():
    code = """
from kelp.agent.memory import forget_startup, stay_small
stay_small()
import resource
from pathlib import Path
import pyarrow as pa
import kelp.agent.main
def rss(): return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
before = rss()
forget_startup()
assert rss() < before - (10 << 20), (before, rss())
import numpy as np, sys, sqlite3, ssl
assert pa.array(np.arange(10)).to_pylist() == list(range(10))
assert "pandas" not in sys.modules
assert pa.default_memory_pool().backend_name == "system"
assert pa.cpu_count() == 1
sqlite3.connect(":memory:").execute("select 1").fetchall()
ssl.create_default_context()
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("fine\n", "")
