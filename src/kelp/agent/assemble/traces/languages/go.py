r"""Go: panics, fatal errors, signals, the goroutines that follow, registers, data races.

    panic: message [recovered]
    \tpanic: again
    [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48]

    goroutine 1 [running]:
    main.main()
    \t/app/main.go:6 +0x39
    created by main.start in goroutine 1
    \t/app/main.go:3 +0x1d
    exit status 2

Format: runtime/traceback.go and runtime/panic.go.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.rules import Language, bears, begin, joins, message

_GOROUTINE = rb"^goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\["
_REGISTER = (
    rb"^(?:[re][a-z]{1,3}|[rx]\d+|[cdefgs]s|[re]flags|trap|error|oldmask|cr2|[lr]r|[sfp][pc]|fault)"
    rb"\s+0x[0-9a-f]+$"
)
_CALL = rb"^[^\s(]+\("
_SECTION = (
    joins(_GOROUTINE, "go.frames"),
    joins(rb"^runtime stack:$", "go.frames"),
    joins(rb"^goroutine running on other thread", "go.frames"),
)
_RACE = rb"^(?:={18}|WARNING: DATA RACE)$"

GO = Language(
    starts=(
        begin(rb"^panic: |^fatal error: |^fatal: morestack", "go.panic"),
        begin(rb"\bpanic: |\b[Pp]anic\b|\bSIG[A-Z]+: |^unexpected fault|^runtime: ", "go.before"),
        begin(_GOROUTINE, "go.frames"),
        begin(rb"^={18}$", "go.race"),
        begin(rb"^WARNING: DATA RACE$", "go.race.body"),
    ),
    states={
        "go.panic": (
            *_SECTION,
            bears(rb"^\[signal |^\[recovered\]|^[\t ]+panic: |^$|^runtime: ", "go.panic"),
            message("go.panic"),
        ),
        "go.before": (
            *_SECTION,
            bears(
                rb"^\[signal |^[\t ]+panic: |^$|^PC=|^m=|^signal arrived |^runtime: "
                rb"|^fatal error: |^stack: ",
                "go.before",
            ),
        ),
        "go.frames": (
            *_SECTION,
            joins(rb"^\t\S+:\d+", "go.frames"),
            joins(rb"^\t?goroutine running on other thread", "go.frames"),
            joins(rb"^\.\.\.\d* ?(?:additional )?frames elided", "go.frames"),
            joins(rb"^\[originating from goroutine", "go.frames"),
            joins(_REGISTER, "go.registers"),
            joins(rb"^exit status \d+$"),
            bears(rb"^created by |" + _CALL, "go.file"),
            bears(rb"^$", "go.blank"),
        ),
        "go.file": (joins(rb"^\s+\S", "go.frames"), joins(_CALL, "go.file")),
        "go.blank": (
            *_SECTION,
            joins(_REGISTER, "go.registers"),
            joins(rb"^exit status \d+$"),
            bears(rb"^$", "go.blank"),
        ),
        "go.registers": (
            joins(_REGISTER, "go.registers"),
            joins(rb"^exit status \d+$"),
            bears(rb"^$", "go.blank"),
        ),
        "go.race": (joins(rb"^WARNING: DATA RACE$", "go.race.body"),),
        "go.race.body": (
            joins(rb"^={18}$"),
            joins(rb"^  (?:\S+\(|\[failed)|^ {6}\S+:\d+", "go.race.body"),
            joins(rb"^(?:Read|Write|Previous|Goroutine|Atomic) ", "go.race.body"),
            bears(rb"^$", "go.race.body"),
        ),
    },
    evidence=(
        ((b"go",), rb"^goroutine (?:\d+|running) "),
        ((b"ru",), rb"^runtime stack:$"),
        ((b"WA",), _RACE),
    ),
)
