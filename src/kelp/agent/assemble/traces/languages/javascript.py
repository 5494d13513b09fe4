"""JavaScript: Node, Deno, Bun and browsers. V8's frames are `    at f (file:line:column)`.

An error that nobody catches has its source before it, and Node's version behind:

    /app/server.js:3
      throw new Error("boom");
      ^

    Error: boom
        at Object.<anonymous> (/app/server.js:3:9) {
      code: 'E_BOOM',
      [cause]: Error: why
          at …
    }

    Node.js v22.0.0

Formats: https://v8.dev/docs/stack-trace-api and util.inspect of Node.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.languages.java import AFTER_FRAME
from kelp.agent.assemble.traces.rules import SPACE, Language, bears, begin, joins, message

_CARETS = rb"^[\t ]*\^+[\t ]*$"
# Firefox and Safari: `name@place:line:column`.
_BROWSER_FRAME = rb"^(?:[^\s@]*|(?:global|eval|module) code)@(?:\S+:\d+:\d+|\[native code\])$"
_NATIVE = rb"^(?:Uncaught )?(?:Type|Reference|Range|Syntax|Internal)?Error: "
_TAIL = rb"^(?:Node\.js v\d|Bun v\d|\(Use `node --trace-)"

JAVASCRIPT = Language(
    starts=(
        begin(_NATIVE, "js.browser"),
        begin(rb"^V8 errors stack trace", "at.head"),
        begin(rb"^(?:file://|node:|[\w.@~-]*/|[A-Za-z]:\\|\[)\S*:\d+$", "js.source"),
        begin(rb"^(?:Trace|Warning|[A-Z][a-z]+[A-Z]\w*)(?:: \S|$)", "at.weak"),
    ),
    states={
        "js.browser": (joins(_BROWSER_FRAME, "js.browser"),),
        "js.source": (bears(rb"", "js.caret"),),
        "js.caret": (joins(_CARETS, "js.thrown"),),
        "js.thrown": (
            bears(rb"^[\t ]*$", "js.error"),
            joins(_TAIL, "js.version"),
            message("js.error"),
        ),
        "js.error": (
            joins(rb"^[\w$.]*(?:Error|Exception)\b.*", "js.head"),
            joins(_TAIL, "js.version"),
            *AFTER_FRAME,
            message("js.error"),
        ),
        "js.head": (
            *AFTER_FRAME,
            joins(_TAIL),
            bears(rb"^[\t ]*$", "js.version"),
            message("js.head"),
        ),
        # The error's own properties, as util.inspect writes them, until the closing brace.
        "js.properties": (
            joins(rb"^\}$", "js.version"),
            joins(rb"^[\t ]+\S", "js.properties"),
            bears(rb"^$", "js.properties"),
        ),
        "js.version": (
            bears(rb"^[\t ]*$", "js.version"),
            joins(_TAIL, "js.version"),
        ),
    },
    evidence=(
        ((*SPACE, b"^"), _CARETS),
        # The frames of browsers may begin with anything, so that their head is what is looked for.
        ((b"Un", b"Ty", b"Re", b"Ra", b"Sy", b"In", b"Er"), _NATIVE),
    ),
)
