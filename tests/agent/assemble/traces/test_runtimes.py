"""Traces as the runtimes of this machine write them: each is one record, between two others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.assemble.traces.batches import joined

CHAIN = "def f():\n try: 1/0\n except Exception as e: raise ValueError('x') from e\nf()\n"
PYTHON = {
    "chain": CHAIN,
    "during": CHAIN.replace(" from e", ""),
    "recursion": "def r(): r()\nr()\n",
    "syntax": "x = (\n",
    "import": "import nothing.at.all\n",
    "logging": "import logging\ntry: 1/0\nexcept Exception: logging.exception('oops')\n",
    "bad logging": "import logging\nlogging.error('%d', 'x')\n",
    "thread": "import threading\nt = threading.Thread(target=lambda: 1/0)\nt.start()\nt.join()\n",
    "asyncio": (
        "import asyncio\nasync def g(): raise RuntimeError('x')\n"
        "async def m(): asyncio.create_task(g()); await asyncio.sleep(0.01)\nasyncio.run(m())\n"
    ),
    "group": "raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [TypeError()])])\n",
    "fault": (
        "import faulthandler, ctypes\nfaulthandler.enable()\n"
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nctypes.string_at(0)\n"
    ),
}
NODE = {
    "throw": "throw new Error('boom', {cause: Object.assign(new TypeError('y'), {code: 'E'})})",
    "reject": "Promise.reject(new Error('rejected'))",
    "logged": "function f() { throw new RangeError('x') }\n"
    "try { f() } catch (e) { console.error('failed:', e) }",
    "system": "require('fs').readFileSync('/nothing/there')",
    "syntax": "let x = ;",
    "trace": "console.trace('here')",
    "several": "throw new AggregateError([new Error('a'), new Error('b')], 'many')",
}
JAVA = """
public class A {
  static void g() {
    RuntimeException e = new RuntimeException("in");
    e.addSuppressed(new java.io.IOException("closing"));
    throw e;
  }
  public static void main(String[] a) {
    try { g(); } catch (Exception e) { throw new IllegalStateException("out\\nmore", e); }
  }
}
"""
RUST = 'fn main() { let v: Vec<i32> = vec![1]; let i = v.len() + 2; println!("{}", v[i]); }'
CXX = """
#include <cstring>
#include <stdexcept>
int main(int, char** v) {
  if (!std::strcmp(v[1], "throw")) throw std::runtime_error("boom");
  int* p = new int[3];
  delete[] p;
  return p[1];
}
"""


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"no {program} here")


def written(folder: Path, *command: str) -> list[bytes]:
    """What a program writes on standard error; blank lines round it do not count."""
    run = subprocess.run(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, timeout=60,
        check=False,
    )  # fmt: skip
    return run.stderr.strip(b"\n").split(b"\n")


def one_record(lines: list[bytes]) -> None:
    assert len(lines) > 1
    for size in (10**9, 1):
        found = joined([b"before", *lines, b"after"], size)
        assert [b"before", b"\n".join(lines), b"after"] == found


@pytest.mark.parametrize("name", PYTHON)
def test_python(tmp_path: Path, name: str):
    (tmp_path / "a.py").write_text(PYTHON[name])
    one_record(written(tmp_path, sys.executable, "a.py"))


@needs("node")
@pytest.mark.parametrize("name", NODE)
def test_node(tmp_path: Path, name: str):
    (tmp_path / "a.js").write_text(NODE[name])
    one_record(written(tmp_path, "node", "a.js"))


@needs("java")
def test_java(tmp_path: Path):
    (tmp_path / "A.java").write_text(JAVA)
    lines = written(tmp_path, "java", "A.java")
    if not any(b"IllegalStateException" in line for line in lines):
        pytest.skip("a runtime without a compiler")
    one_record(lines)


@needs("rustc")
def test_rust(tmp_path: Path):
    (tmp_path / "a.rs").write_text(RUST)
    if subprocess.run(["rustc", "a.rs"], cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("rustc cannot build here")
    one_record(written(tmp_path, "./a"))
    one_record(written(tmp_path, "env", "RUST_BACKTRACE=1", "./a"))


@needs("g++")
def test_cxx(tmp_path: Path):
    (tmp_path / "a.cc").write_text(CXX)
    build = ["g++", "-g", "-fsanitize=address", "a.cc", "-o", "a"]
    if subprocess.run(build, cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("g++ has no AddressSanitizer here")
    one_record(written(tmp_path, "./a", "use"))
    one_record(written(tmp_path, "sh", "-c", "ulimit -c 0; exec ./a throw"))


@needs("perl")
def test_perl(tmp_path: Path):
    code = 'use Carp; sub f { confess "boom" } sub g { f(1, "x") } g();'
    one_record(written(tmp_path, "perl", "-e", code))
