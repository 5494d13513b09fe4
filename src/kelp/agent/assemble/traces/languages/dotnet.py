"""C#, F# and all else on .NET; the frames are `   at Namespace.Type.Method() in file:line 12`.

    Unhandled exception. System.InvalidOperationException: outer
     ---> System.ArgumentException: inner
       at App.Run() in /src/App.cs:line 12
       --- End of inner exception stack trace ---
       at App.Main()

The console logger of ASP.NET writes a head of its own, and indents what follows by six spaces:

    fail: Microsoft.AspNetCore.Server.Kestrel[13]
          An unhandled exception was thrown by the application.
          System.InvalidOperationException: outer
             at …

Format: System.Exception.ToString.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.languages.java import AFTER_FRAME
from kelp.agent.assemble.traces.rules import Language, bears, begin, joins, message

DOTNET = Language(
    starts=(
        begin(rb"^Unhandled [Ee]xception[:.]? ?", "at.head"),
        begin(rb"^Stack overflow\.$", "dotnet.overflow"),
        begin(rb"^(?:fail|crit|warn|info|dbug|trce): \S+\[\d+\]$", "dotnet.logger"),
    ),
    states={
        "dotnet.logger": (
            joins(rb"^ {7,}(?:at \S|--- End of )", "dotnet.frames"),
            bears(rb"^ {6,}", "dotnet.logger"),
        ),
        "dotnet.frames": (
            joins(rb"^ {7,}(?:at \S|--- End of )|^ {6,} ---> ", "dotnet.frames"),
            bears(rb"^ {6,}", "dotnet.logger"),
        ),
        "dotnet.overflow": (joins(rb"^   at \S|^Repeat \d+ times:$|^-{32}$", "dotnet.overflow"),),
        "dotnet.head": (*AFTER_FRAME, message("dotnet.head")),
    },
    evidence=(((b"Un",), rb"^Unhandled [Ee]xception"),),
)
