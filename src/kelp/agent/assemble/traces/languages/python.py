"""Python: tracebacks, chained and grouped, syntax errors, and what faulthandler writes.

    Traceback (most recent call last):
      File "/app/main.py", line 3, in <module>
        main()
        ~~~~^^
    ValueError: message

    During handling of the above exception, another exception occurred:

    Traceback (most recent call last):
      …

Formats: Lib/traceback.py and Python/traceback.c of CPython.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.rules import SPACE, Language, bears, begin, joins, message

_TRACEBACK = rb"Traceback \((?:most recent call|innermost) last\)"
_FILE = rb'^[\t ]+File (?:"|<)'
_LAST = rb"^(?:[^\s.():]+\.)*[^\s.():]+(?::|$)"
_CHAIN = (
    rb"^(?:During handling of the above exception, another exception occurred:"
    rb"|The above exception was the direct cause of the following exception:)"
)
_THREAD = rb"^(?:Current thread|Thread) 0x[0-9a-f]+ "
# What database drivers and SQLAlchemy put behind an error's message.
_SQL = (
    rb"^(?:DETAIL|HINT|CONTEXT|QUERY): {1,2}\S|^LINE \d+: |^\[(?:SQL|parameters): "
    rb"|^\(Background on this error at: "
)
# Lines that Python writes right before a traceback.
_BEFORE = (
    rb"^(?:Exception ignored |Exception in thread [^\"]|Error in |--- Logging error ---"
    rb"|Exception in callback |Task exception was never retrieved|Future exception was never"
    rb"|Process \S+:$|Unhandled exception in |Exception in default exception handler)"
)

PYTHON = Language(
    starts=(
        begin(_TRACEBACK, "python.begun"),
        begin(rb"^[\t ]+\+ Exception Group " + _TRACEBACK, "python.group"),
        begin(_BEFORE, "python.before"),
        begin(rb'^  File "[^"]+", line \d+$', "python.syntax"),
        begin(rb"^Fatal Python error: |^Timeout \(\d", "python.fatal"),
    ),
    states={
        "python.before": (
            joins(_TRACEBACK, "python.begun"),
            bears(
                rb"^(?:handle|future|task|protocol|transport|source_traceback|message): ",
                "python.before",
            ),
        ),
        "python.begun": (
            joins(_FILE, "python.file"),
            joins(rb"^[\t ]+\d+: from ", "ruby.reversed"),
            # A traceback without a frame.
            joins(rb"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b", "python.last"),
            bears(rb"^[\t ]+\S", "python.begun"),
        ),
        "python.file": (
            joins(_FILE, "python.file"),
            joins(rb"^[\t ]+\S", "python.code"),
            joins(rb"^(?:[\w<>-]+\.)*[\w<>-]+(?:: |:?$)", "python.last"),
            bears(rb"\S", "python.code"),
            bears(rb"^$", "python.code"),
        ),
        "python.code": (
            joins(_FILE, "python.file"),
            joins(rb"^[\t ]+\S", "python.code"),
            joins(_LAST, "python.last"),
        ),
        "python.last": (
            joins(rb"^[\t ]+\S", "python.last"),  # the rest of a message, carets, notes
            joins(rb"^Call stack:$", "python.begun"),
            joins(rb"^Message: ", "python.last"),
            joins(_SQL, "python.last"),
            joins(rb"^Arguments: ", "python.last"),
            bears(rb"^$", "python.between"),
            # More of the message: told by the chain that follows.
            message("python.message"),
        ),
        "python.message": (bears(rb"^$", "python.between"), message("python.message")),
        "python.between": (
            joins(_CHAIN, "python.chained"),
            joins(_SQL, "python.last"),
            message("python.message"),
        ),
        "python.chained": (
            bears(rb"^$", "python.chained"),
            joins(rb"^[\t ]+\+ Exception Group " + _TRACEBACK, "python.group"),
            joins(_TRACEBACK, "python.begun"),
        ),
        "python.group": (
            joins(rb"^[\t ]+[|+]", "python.group"),
            bears(rb"^$", "python.between"),
        ),
        "python.syntax": (
            joins(rb"^(?:\w+\.)*(?:SyntaxError|IndentationError|TabError): ", "python.last"),
            bears(rb"^[\t ]+\S", "python.syntax"),
        ),
        "python.fatal": (
            joins(_THREAD, "python.dump"),
            bears(rb"^$|^Python runtime state: ", "python.fatal"),
            message("python.fatal"),
        ),
        "python.dump": (
            joins(rb"^  (?:File |<|Garbage-collecting|\.\.\.)", "python.dump"),
            joins(_THREAD, "python.dump"),
            joins(rb"^Extension modules: |^Current thread's C stack trace", "python.dump"),
            joins(rb"^  Binary file |^  <cannot get C stack", "python.dump"),
            bears(rb"^$", "python.dump"),
        ),
    },
    evidence=(
        ((b"Tr",), rb"^" + _TRACEBACK),
        (SPACE, rb'^[\t ]+(?:File (?:"|<)|[|+])'),
        (
            (
                b"Sy",
                b"In",
                b"Ta",
            ),
            rb"^(?:SyntaxError|IndentationError|TabError): ",
        ),
        (
            (
                b"Fa",
                b"Ti",
            ),
            rb"^(?:Fatal Python error: |Timeout \(\d)",
        ),
        (
            (
                b"Cu",
                b"Th",
            ),
            _THREAD,
        ),
    ),
)
