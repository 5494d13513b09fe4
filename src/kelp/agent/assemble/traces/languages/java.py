r"""Java, Kotlin, Scala and all else on the JVM; its `at` frames are JavaScript's and .NET's too.

    Exception in thread "main" java.lang.IllegalStateException: message
        at com.example.App.run(App.java:12) ~[app.jar:1.0]
        Suppressed: java.io.IOException: close
                at …
    Caused by: java.lang.NullPointerException
        ... 12 more

Format: java.lang.Throwable.printStackTrace; logback and log4j write the same, with packaging data
and "common frames omitted". An exception's line is known by its class; one that only mentions an
error counts where an unmistakable frame follows at once.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.rules import SPACE, Language, Rule, bears, begin, joins, message

# A line that begins with the class of an exception, behind what runtimes write before it.
STRONG = (
    rb"^[\t ]*(?:Exception in thread \"[^\"]*\" |(?i:uncaught|unhandled)(?: \(in promise\))?"
    rb"(?: exception)?[.:]? (?:\([^)]*\) )?)?"
    rb"(?:[\w$-]+[./:]+)*[\w$]*(?:Exception|Error|Throwable|Failure|Fault|Interrupt|Rejection)"
    rb"(?:\d{0,3}|`\d)(?: \[[\w.$]+\])?(?:[:\[\r(]|$)"
)
# The class of an exception somewhere in the line, and a mark behind it.
MEDIUM = rb"\w(?:Exception|Error|Throwable)[:\[\r;]|(?:Exception|Error|Throwable)(?:: |$)"
_WEAK = (
    rb"(?i:exception|error|throwable|stack ?trace|failed|failure|fatal|panic|\bfault)"
    rb"|^[\t ]*(?:[\w$]+\.)+[A-Z][\w$]*(?:: |$)"  # the full name of a class, whatever it is called
)

# Behind an exception: a name alone, or whatever has the marks of a call or a place in it.
_FRAME = (
    rb"^[\t ]+(?:eval )?at (?:(?:async |new |static )?\S+$"
    rb"|\S.*?(?:[(\[<{]|[\w>]\.[\w<]|:\d)|[(<\[])"
)
# Where Reactor assembled what failed.
_ASSEMBLY = (
    rb"^[\t ]*(?:Assembly trace from producer \[|Error has been observed at the following site"
    rb"|Original Stack Trace:$)|^[\t ]+(?:\*__|\|_ )|^\t[\w$.]+\(\w+\.\w+:\d+\)$"
)
# A frame that nothing else looks like: a call in brackets, or a place with a line.
_SURE_FRAME = rb"^[\t ]+(?:eval )?at (?:\S.*\(.*\)|\S+:\d+(?::\d+)?\b|\S.* in \S.*:line \d+)"
_MORE = (
    rb"^[\t ]*\.\.\. ?\d+ (?:more|(?:common )?frames|lines matching|similar|skipped)"
    rb"|^[\t ]*\[CIRCULAR REFERENCE|^[\t ]+\(Coroutine boundary\)"
    rb"|^[\t ]+- (?:locked|waiting|parking|eliminated|None)"
)
_CAUSE = rb"^[\t ]*(?:Caused by|Suppressed|Wrapped by)(?: \([^)]*\))?: ?"

# What all `at` traces share; the rules of JavaScript and .NET stand in their own files.
AFTER_FRAME: tuple[Rule, ...] = (
    joins(rb"^[\t ]+(?:eval )?at \S.* \{$", "js.properties"),
    joins(_FRAME, "at.frames"),
    joins(_MORE, "at.frames"),
    joins(_CAUSE, "at.cause"),
    joins(_ASSEMBLY, "at.frames"),
    joins(rb"^[\t ]+\[(?:cause|errors?)\]: ", "at.head"),
    joins(rb"^[\t ]*---? End of |^[\t ]*--- End of", "at.frames"),
    joins(rb"^[\t ]*---> ", "at.cause"),
)

_HS_ERR = rb"^# +(?:A fatal error has been detected by|There is insufficient memory for) "

JAVA = Language(
    starts=(
        begin(STRONG, "at.head"),
        begin(MEDIUM, "at.medium"),
        begin(_WEAK, "at.weak"),
        begin(rb"^#$", "java.crash"),
    ),
    states={
        "at.head": (
            *AFTER_FRAME,
            bears(rb"^[\t ]*nested exception is:", "at.nested"),
            message("at.head"),
        ),
        # Below a cause stands its own message; another exception is none of it.
        "at.cause": (
            *AFTER_FRAME,
            bears(rb"^[\t ]*nested exception is:", "at.nested"),
            message("at.cause"),
        ),
        "at.nested": (bears(rb"\S", "at.head"),),
        "at.medium": (
            *AFTER_FRAME,
            bears(rb"^[\t ]*nested exception is:", "at.nested"),
            bears(rb"^[\t ]*$", "at.medium"),
        ),
        "at.weak": (joins(rb"^[\t ]+at .* \{$", "js.properties"), joins(_SURE_FRAME, "at.frames")),
        "at.frames": (*AFTER_FRAME, bears(rb"^[\t ]*$", "js.version")),
        "java.crash": (joins(_HS_ERR, "java.crash.text"),),
        "java.crash.text": (joins(rb"^#", "java.crash.text"),),
    },
    evidence=(
        (
            SPACE,
            rb"^[\t ]+(?:(?:eval )?at \S|\.\.\. ?\d|\[|--|\(Coroutine|Caused|Suppressed|Wrapped)",
        ),
        (
            (
                b"Ca",
                b"Su",
                b"Wr",
            ),
            rb"^(?:Caused by|Suppressed|Wrapped by)",
        ),
        ((b"..",), rb"^\.\.\. ?\d"),
        ((b"--",), rb"^---? ?(?:End of|>)"),
        ((b"# ",), _HS_ERR),
    ),
)
