"""The stage: Lines to Parsed, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kelp.agent.parse.named import NamedFormats
from kelp.agent.parse.problems import find_problems
from kelp.agent.parse.streams import StreamFormats
from kelp.base.settings import Agent
from kelp.base.severity import detect_severity
from kelp.model.lines import Lines
from kelp.model.parsed import Parsed

# (pod uid, container) → the format that the pod's annotations name, or empty.
Annotated = Callable[[str, str], str]


def nothing_annotated(_pod_uid: str, _container: str) -> str:
    """For an agent that does not ask the API server."""
    return ""


class Parser:
    """Remembers the formats of streams; for one thread."""

    def __init__(
        self,
        agent: Agent,
        checkpoints: Mapping[str, bytes],
        annotated: Annotated = nothing_annotated,
    ) -> None:
        """Raises ConfigError where agent.formats names no format."""
        named = NamedFormats(agent.formats, annotated)
        self._formats = StreamFormats(named, checkpoints, recognises=agent.recognise_formats)

    def parse(self, lines: Lines) -> Parsed:
        """What the bodies of these records say."""
        numbers, texts = detect_severity(lines.body)
        formats = self._formats.of(lines)
        problems = find_problems(lines, numbers.to_numpy(), formats)
        return Parsed(numbers, texts, formats, problems.marks, problems.severity)

    def changes(self) -> dict[str, bytes | None]:
        """What to write (bytes) or delete (None) among the checkpoints since the last call."""
        return self._formats.changes()
