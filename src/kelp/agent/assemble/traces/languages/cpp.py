"""C and C++: sanitizers, glog and Abseil, gdb, Boost, glibc, an exception that nobody caught.

    *** Aborted at 1700000000 (unix time) try "date -d @1700000000" if you are using GNU date ***
    PC: @     0x55d0 crash()
    *** SIGSEGV (@0x0) received by PID 7 (TID 0x7f) from PID 0; stack trace: ***
        @     0x7f12 __restore_rt

    ==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602 …
    READ of size 4 at 0x602 thread T0
        #0 0x4c3 in main /src/a.cc:5

     0# boost::stacktrace::basic_stacktrace() at …
     1# main in ./app

Formats: compiler-rt's sanitizer_common, glog's signalhandler.cc, Abseil's failure_signal_handler,
boost::stacktrace, gdb's `backtrace`, glibc's backtrace_symbols.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.rules import SPACE, Language, bears, begin, joins, message

_SANITIZER = rb"^==\d+==\s*(?:ERROR|WARNING): \w+Sanitizer|^WARNING: ThreadSanitizer: "
_ABORTING = rb"^==\d+==\s*ABORTING"
_SHADOW = (
    rb"^Shadow |^=>?0x|^  0x[0-9a-f]+: |^  [A-Z][\w '/-]+: +[0-9a-f]{2}|^==\d+=="
    rb"|^\w+Sanitizer can not"
)
_REPORT = (
    rb"^ +#\d+ |^ {2,}(?:Read|Write|Atomic|Previous|Location|Mutex|Thread|Goroutine|Hint) "
    rb"|^(?:READ|WRITE|ACCESS) of size |^0x[0-9a-f]+ is |^Address 0x|^(?:Direct|Indirect) leak of "
    rb"|^(?:previously |freed by |allocated by |is located |Thread T|HINT: |Uninitialized )"
    rb"|^ +\[\d+, \d+\)|^  This frame has |" + _SHADOW
)
_GLOG = (
    rb"^\*\*\* .* \*\*\*$|^PC: @ |^ +@ +0x|^ +\.{3} +(?:and|at) (?:at )?least"
    rb"|^\[?[\w.-]+\.cc ?: ?\d+\]? RAW: "
)
_FRAME = rb"^#\d+ +(?:0x[0-9a-f]+|<signal handler|\S.* \(.*\))"
_SYMBOL = (
    rb"^\S+\((?:\S*\+)?0x[0-9a-f]+\) ?\[0x[0-9a-f]+\]|^\S+\(\S*\+0x[0-9a-f]+\)"
    rb"|^\S+\(\) ?\[0x[0-9a-f]+\]|^\[0x[0-9a-f]+\]$"
)
_GDB_FRAME = rb"^#0 +(?:0x[0-9a-f]+ in|\S.* \(.*\) at )"
_NUMBERED = rb"^ *\d+# \S"

CPP = Language(
    starts=(
        begin(rb"^={60,70}$|^={18}$", "cpp.rule"),
        begin(_SANITIZER, "cpp.sanitizer"),
        begin(rb"^\S+:\d+:\d+: runtime error: ", "cpp.sanitizer"),
        begin(rb"^\*\*\* (?:Aborted at|SIG[A-Z]+ |Check failure stack trace)|^PC: @ ", "cpp.glog"),
        begin(rb"^F\d{4,8} |Check failed|RAW: ", "cpp.check"),
        begin(rb"^terminate called after throwing", "cpp.what"),
        begin(rb"^(?:Program|Thread) .*(?:received|terminated with) signal ", "cpp.gdb"),
        begin(rb"^Thread \d+ \(", "cpp.gdb"),
        begin(_GDB_FRAME, "cpp.gdb.frames"),
        begin(rb"^ *0# \S", "cpp.numbered"),
        begin(rb"(?i:stack ?trace|back ?trace)", "cpp.title"),
        begin(
            rb"^\*\*\* Error in `|(?i:segmentation fault|\bsignal \d|\bsig[a-z]{4}\b)",
            "cpp.title",
        ),
        begin(rb"^==\d+== \S", "cpp.valgrind"),
    ),
    states={
        "cpp.rule": (joins(_SANITIZER, "cpp.sanitizer"),),
        "cpp.sanitizer": (
            joins(rb"^={18}$|" + _ABORTING),
            joins(rb"^SUMMARY: \w+Sanitizer", "cpp.summary"),
            joins(_REPORT, "cpp.sanitizer"),
            message("cpp.sanitizer"),
        ),
        "cpp.summary": (
            joins(rb"^={18}$|" + _ABORTING),
            joins(_SHADOW, "cpp.summary"),
            bears(rb"^$", "cpp.summary"),
        ),
        "cpp.glog": (joins(_GLOG, "cpp.glog"),),
        "cpp.check": (joins(rb"^\*\*\* Check failure stack trace", "cpp.glog"),),
        "cpp.what": (joins(rb"^  what\(\): ", "cpp.title"), bears(rb"^$", "cpp.title")),
        "cpp.gdb": (
            joins(_FRAME, "cpp.gdb.frames"),
            joins(rb"^\[Switching to ", "cpp.gdb"),
            joins(rb"^(?:0x[0-9a-f]+ in )?\S.* \(.*\)(?: at \S+:\d+| from \S+)$", "cpp.gdb.frames"),
            bears(rb"^$", "cpp.gdb"),
        ),
        "cpp.gdb.frames": (
            joins(_FRAME, "cpp.gdb.frames"),
            joins(rb"^[\t ]+(?:at|from) \S|^\d+\t", "cpp.gdb.frames"),
            joins(rb"^\(More stack frames follow|^Backtrace stopped: ", "cpp.gdb.frames"),
            joins(rb"^[\t ]+\S.*\)$", "cpp.gdb.frames"),
            bears(rb"^$", "cpp.gdb.threads"),
        ),
        "cpp.gdb.threads": (joins(rb"^Thread \d+ \(", "cpp.gdb"), bears(rb"^$", "cpp.gdb.threads")),
        "cpp.title": (
            joins(rb"^ *0# \S", "cpp.numbered"),
            joins(rb"^={5,} (?:Backtrace|Memory map)", "cpp.symbols"),
            joins(_SYMBOL, "cpp.symbols"),
            joins(rb"^#0 +(?:0x[0-9a-f]+|\S.* \(.*\) at )", "cpp.gdb.frames"),
            bears(rb"(?i:^[\t ]*(?:stack ?trace|back ?trace)[^\w]*$)", "cpp.title"),
        ),
        "cpp.numbered": (joins(_NUMBERED, "cpp.numbered"),),
        "cpp.symbols": (
            joins(_SYMBOL, "cpp.symbols"),
            joins(rb"^={5,} (?:Backtrace|Memory map)", "cpp.symbols"),
            joins(rb"^[0-9a-f]{8,}-[0-9a-f]{8,} [r-]", "cpp.symbols"),
        ),
        "cpp.valgrind": (
            joins(rb"^==\d+== {4}(?:at|by) 0x", "cpp.valgrind.block"),
            bears(rb"^==\d+== ", "cpp.valgrind"),
        ),
        "cpp.valgrind.block": (joins(rb"^==\d+== {2,4}\S", "cpp.valgrind.block"),),
    },
    evidence=(
        ((b"==",), _SANITIZER + rb"|^==\d+== {4}(?:at|by)|^={5,} (?:Backtrace|Memory)"),
        ((b"WA",), rb"^WARNING: ThreadSanitizer: "),
        ((b"**",), rb"^\*\*\* .*\*\*\*"),
        ((b"PC",), rb"^PC: @ "),
        (SPACE, rb"^ +(?:@ +0x|#\d+ |\d+# )|^  what\(\)"),
        (
            (
                b"#0",
                b"#1",
            ),
            rb"^#[01] +",
        ),
        ((b"0#",), rb"^0# "),
        # backtrace_symbols: the path of a binary, an offset, an address.
        (
            (
                b"/",
                b"./",
                b"[0",
            ),
            rb"^\S+\(\S*0x[0-9a-f]+\)|^\S+\(\) ?\[0x|^\[0x[0-9a-f]+\]$",
        ),
        ((b"SU",), rb"^SUMMARY: \w+Sanitizer"),
    ),
)
