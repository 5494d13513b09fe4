"""The rule sets, a language a file."""

from __future__ import annotations

from collections.abc import Sequence

from kelp.agent.assemble.traces.languages import (
    cpp,
    dart,
    dotnet,
    go,
    java,
    javascript,
    klog,
    logged,
    perl,
    php,
    python,
    ruby,
    rust,
)
from kelp.agent.assemble.traces.rules import Language

LANGUAGES: Sequence[Language] = (
    java.JAVA,
    javascript.JAVASCRIPT,
    dotnet.DOTNET,
    python.PYTHON,
    go.GO,
    ruby.RUBY,
    php.PHP,
    rust.RUST,
    dart.DART,
    cpp.CPP,
    perl.PERL,
    logged.LOGGED,
    klog.KLOG,
)
