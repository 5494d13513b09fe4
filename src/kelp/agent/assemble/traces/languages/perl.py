r"""Perl: what Carp's confess and cluck write.

    boom at app.pl line 3.
    \tmain::f(1) called at app.pl line 5

Format: Carp's longmess.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.rules import SPACE, Language, begin, joins

_CALLED = rb"^[\t ]+\S.* called at \S.* line \d+"

PERL = Language(
    starts=(begin(rb" at \S+ line \d+", "perl.frames"),),
    states={"perl.frames": (joins(_CALLED, "perl.frames"),)},
    evidence=((SPACE, _CALLED),),
)
