"""PHP: uncaught exceptions and errors, Xdebug's traces, and what Monolog appends to a line.

    PHP Fatal error:  Uncaught Exception: message in /app/a.php:3
    Stack trace:
    #0 /app/a.php(9): f()
    #1 {main}

    Next RuntimeException: outer in /app/a.php:5
    Stack trace:
    #0 {main}
      thrown in /app/a.php on line 3

Format: Zend/zend_exceptions.c.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.rules import Language, bears, begin, joins, message

_STACK = rb"^(?:PHP )?Stack trace:|^\[(?:previous )?(?:stack ?trace|exception)\]|^PHP Stack trace:"
_XDEBUG = rb"^(?:\[[^\]]+\] )?(?:PHP)? +\d+\. \S"

PHP = Language(
    starts=(
        begin(
            rb"(?:PHP )?(?:Notice|Parse error|Fatal error|Recoverable fatal error|Warning"
            rb"|Deprecated|Catchable fatal error): ",
            "php.head",
        ),
        begin(rb"[Ee]xception '[^']+' with message '", "php.head"),
        begin(rb"\bUncaught \S", "php.head"),
        begin(rb"^(?:[\w-]+\\)*\w*(?:Exception|Error)(?:: | in )", "php.head"),
        begin(rb"\w(?:Exception|Error)[:(]|\[object\] \(|(?i:exception|error)", "php.logged"),
        begin(rb"^(?:PHP )?Stack trace:$", "php.frames"),
    ),
    states={
        "php.head": (joins(_STACK, "php.frames"), message("php.head")),
        "php.logged": (
            joins(_STACK, "php.frames"),
            joins(rb"^#0 \S.*(?:\(\d+\): |\{main\})|^#0 \[internal function\]", "php.frames"),
        ),
        "php.frames": (
            joins(rb"^#\d+ ", "php.frames"),
            joins(_XDEBUG, "php.frames"),
            joins(rb"^[\t ]+thrown in "),
            joins(rb"^\"\} ?$|^\[(?:previous )", "php.frames"),
            joins(rb"^Next \S", "php.head"),
            bears(rb"^$", "php.next"),
        ),
        "php.next": (joins(rb"^Next \S", "php.head"),),
    },
    evidence=(
        (
            (
                b"St",
                b"PH",
            ),
            rb"^(?:PHP )?Stack trace:",
        ),
        ((b"[",), rb"^\[(?:previous )?(?:stack ?trace|exception)\]"),
        ((b"#0",), rb"^#0 "),
    ),
)
