"""Rust: panics with and without a backtrace, and the reports of anyhow and eyre.

    thread 'main' panicked at src/main.rs:2:5:
    message
    stack backtrace:
       0: rust_begin_unwind
                 at /rustc/…/library/std/src/panicking.rs:645:5
    note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.

Formats: library/std/src/panicking.rs, library/std/src/backtrace.rs; anyhow's Debug.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.rules import SPACE, Language, bears, begin, joins, message

_NOTE = rb"^note: (?:run with|Run with|Some details|add )"
_BACKTRACE = rb"^[\t ]*(?i:stack backtrace):"
_FRAME = rb"^ +\d+: +\S|^ {6,}at \S"

RUST = Language(
    starts=(
        begin(rb"^thread '.*' (?:\(\d+\) )?panicked at [^'].*:\d+:\d+:$", "rust.message"),
        begin(rb"^thread '.*' (?:\(\d+\) )?panicked at ", "rust.head"),
        begin(rb"^thread '.*' (?:\(\d+\) )?has overflowed its stack", "rust.overflow"),
        begin(rb"^(?:Error|error): \S|(?i:error|failed)", "rust.report"),
        begin(_BACKTRACE, "rust.frames"),
        begin(rb"^The application panicked \(crashed\)\.$", "rust.eyre"),
    ),
    states={
        # Since 1.73 the message has lines of its own.
        "rust.message": (
            joins(_NOTE, "rust.notes"),
            joins(_BACKTRACE, "rust.frames"),
            joins(rb"\S", "rust.head"),
            bears(rb"^$", "rust.head"),
        ),
        "rust.head": (
            joins(_NOTE, "rust.notes"),
            joins(_BACKTRACE, "rust.frames"),
            message("rust.head"),
        ),
        # color-eyre's report of a panic.
        "rust.eyre": (
            joins(rb"^(?:Message|Location):\s+\S", "rust.eyre"),
            joins(rb"^[\t ]*(?:\xe2\x94\x81|-)+ (?:BACK|SPAN)TRACE ", "rust.eyre"),
            joins(rb"^Backtrace omitted\. |^Run with (?:RUST_|COLORBT_)", "rust.eyre"),
            joins(_FRAME, "rust.eyre"),
            joins(rb"^[\t ]+\S", "rust.eyre"),
            bears(rb"^$", "rust.eyre"),
        ),
        "rust.overflow": (
            joins(rb"^fatal runtime error: stack overflow"),
            bears(rb"^$", "rust.overflow"),
        ),
        "rust.frames": (
            joins(_FRAME, "rust.frames"),
            joins(rb"^ +\[\.\.\. omitted \d+ frames? \.\.\.\]|^ +-+ ", "rust.frames"),
            joins(_NOTE, "rust.notes"),
            bears(rb"^$", "rust.notes"),
        ),
        "rust.notes": (joins(_NOTE, "rust.notes"),),
        "rust.report": (
            bears(rb"^$", "rust.report"),
            joins(rb"^Caused by:$", "rust.causes"),
            joins(_BACKTRACE, "rust.frames"),
        ),
        "rust.causes": (
            joins(rb"^ {2,}\S", "rust.causes"),
            joins(_BACKTRACE, "rust.frames"),
            joins(rb"^Location:$", "rust.causes"),
            bears(rb"^$", "rust.causes"),
        ),
    },
    evidence=(
        ((b"th",), rb"^thread '.*' (?:\(\d+\) )?(?:panicked at |has overflowed)"),
        (
            (
                b"st",
                b"St",
            ),
            _BACKTRACE,
        ),
        ((b"Me",), rb"^Message: "),
        (SPACE, rb"^ +(?:\d+: |at )"),
        ((b"no",), _NOTE),
        ((b"Ca",), rb"^Caused by:$"),
    ),
)
