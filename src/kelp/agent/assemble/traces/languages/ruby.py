r"""Ruby: both orders of a backtrace, Rails, logged backtraces, the interpreter's own crash.

    app.rb:6:in `/': divided by 0 (ZeroDivisionError)
    \tfrom app.rb:6:in `<main>'

    Traceback (most recent call last):
    \t1: from app.rb:6:in `<main>'
    app.rb:6:in `/': divided by 0 (ZeroDivisionError)

    ActionView::Template::Error (undefined method `x' for nil):

    app/views/index.erb:1:in `_app_views_index'

Formats: eval_error.c and error.c of CRuby (since 3.4 with ' for `); Rails' DebugExceptions.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.languages.java import MEDIUM, STRONG
from kelp.agent.assemble.traces.rules import EMPTY, SPACE, Language, bears, begin, joins, message

_TAGS = rb"^(?:\[[^\]]*\] ?)*"  # of Rails' tagged logging, on every line
# A gem's frame has its name and version before the path: `rack (2.0) lib/rack.rb:1:in `.
_GEM = rb"(?:[\w.-]+ \([\w.-]+\) )?"
_PLACE = _GEM + rb"[^\s:(][^:(]*:\d+(?::in [`']|$)"
_FRAME = _TAGS + rb"[\t ]*(?:from )?" + _PLACE
_FROM = rb"^[\t ]+(?:\d+: )?from \S.*:\d+"
_CARETS = rb"^[\t ]*\^+[\t ]*$"

RUBY = Language(
    starts=(
        begin(rb"^\S.*:\d+:in [`']|^\S+\.rb:\d+:", "ruby.head"),
        begin(rb"[\w:] \(.*\):$", "ruby.rails"),
        begin(STRONG, "ruby.logged"),
        begin(MEDIUM, "ruby.logged"),
        begin(rb"\[BUG\] ", "ruby.bug"),
    ),
    states={
        "ruby.head": (
            joins(_FROM, "ruby.frames"),
            joins(rb"^[\t ]+\.{3} ?\d+ levels\.{3}", "ruby.frames"),
            joins(_CARETS, "ruby.frames"),
            message("ruby.head"),
        ),
        "ruby.frames": (
            joins(_FROM, "ruby.frames"),
            joins(rb"^[\t ]+\.{3} ?\d+ levels\.{3}", "ruby.frames"),
            joins(rb"^Did you mean\?|^ {14}\w", "ruby.frames"),
            joins(rb"^\S.*:\d+:in [`'].*\(\w[\w:]*\)$", "ruby.head"),  # the cause
        ),
        "ruby.reversed": (
            joins(_FROM, "ruby.reversed"),
            joins(rb"^\S.*:\d+:in [`']|^\S+:\d+: ", "ruby.message"),
        ),
        "ruby.message": (joins(_CARETS, "ruby.message"), joins(rb"^Did you mean\?")),
        "ruby.rails": (
            bears(_TAGS + rb"[\t ]*$", "ruby.rails.blank"),
            joins(rb"^[\t ]+.*?\.rb:\d+:in [`']", "ruby.trace"),
            # Template errors show the source first.
            bears(_TAGS + rb"[\t ]*\d+: ", "ruby.rails.blank"),
        ),
        "ruby.rails.blank": (
            bears(_TAGS + rb"[\t ]*$", "ruby.rails.blank"),
            joins(_FRAME, "ruby.trace"),
            # Template errors show the source first.
            bears(_TAGS + rb"[\t ]*(?:Causes:|\d+: |\S.* \(.*\):?$)", "ruby.rails.blank"),
        ),
        "ruby.logged": (joins(rb"^(?:[\t ]+|/|\S+/)\S*\.rb:\d+:in [`']", "ruby.trace"),),
        "ruby.trace": (joins(_FRAME, "ruby.trace"),),
        "ruby.bug": (
            joins(rb"^-- |^c:\d|^ruby \d|^\[NOTE\]", "ruby.bug"),
            joins(rb"\[0x[0-9a-f]+\]|^ *[0-9a-f]+-[0-9a-f]+ |^\S.*:\d+:in ", "ruby.bug"),
            joins(rb"^\* |^ +\d+ |^ *[A-Z][A-Za-z0-9]{1,2}: ", "ruby.bug"),
            joins(rb"^(?:You may have|Bug reports|For details|Don't forget)", "ruby.bug"),
            bears(rb"", "ruby.bug"),
        ),
    },
    evidence=(
        (
            (*SPACE, b"^"),
            rb"^[\t ]+(?:\d+: )?from \S|^[\t ]+.*\.rb:\d+|^[\t ]*\^|^[\t ]+\.\.\.|^[\t ]*$",
        ),
        ((b"[",), rb"^(?:\[[^\]]*\] ?)+[\t ]*$"),
        ((EMPTY,), rb"^$"),  # between the message and the trace of Rails
        ((b"/",), rb"^/\S*\.rb:\d+:in "),
        ((b"--",), rb"^-- "),
        (
            (
                b"ru",
                b"c:",
            ),
            rb"^ruby \d|^c:\d",
        ),
    ),
)
