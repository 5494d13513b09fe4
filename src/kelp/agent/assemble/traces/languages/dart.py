"""Dart: unhandled exceptions, their message of any form, and numbered frames.

    Unhandled exception:
    Bad state: oops
    #0      main (file:///app/main.dart:24:5)
    <asynchronous suspension>
    #1      _startIsolate.<anonymous closure> (dart:isolate-patch/isolate_patch.dart:265)

Format: StackTrace of the Dart VM.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.languages.java import MEDIUM, STRONG
from kelp.agent.assemble.traces.rules import Language, bears, begin, joins

_FRAME = rb"^#\d+ {2,}\S.*\(.+\)$"
_FLUTTER = rb"^(?:[VDIWEF]/flutter \( *\d+\): |\[ERROR:flutter/[^\]]*\] )"

DART = Language(
    starts=(
        begin(rb"^Unhandled exception:$|\bUnhandled Exception: ", "dart.message"),
        begin(STRONG, "dart.logged"),
        begin(MEDIUM, "dart.logged"),
        begin(rb"(?i:exception|error)", "dart.logged"),
    ),
    states={
        "dart.message": (joins(_FRAME, "dart.frames"), bears(rb"", "dart.message")),
        "dart.logged": (joins(_FRAME, "dart.frames"),),
        "dart.frames": (
            joins(_FRAME, "dart.frames"),
            joins(rb"^<asynchronous suspension>$", "dart.frames"),
            joins(rb"^\.\.\.$|^\.\.\. +\(elided ", "dart.frames"),
        ),
    },
    evidence=(((b"Un",), rb"^Unhandled exception:"), ((b"#0",), rb"^#0 {2,}\S")),
)
