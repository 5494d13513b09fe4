"""Row: a record on its way through the stages, with its labels in three layers.

Stream labels lie at the bottom, structured metadata above, parsed labels on top. A parser never
takes a name that the layers below it have: it writes `name_extracted` instead. Loki's
LabelsBuilder (pkg/logql/log/labels.go) is the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

EXTRACTED = "_extracted"
ERROR = "__error__"
ERROR_DETAILS = "__error_details__"
PRESERVE_ERROR = "__preserve_error__"


def _go_on() -> None:
    pass


class Row:
    """One record; stages change it in place.

    `check` raises where the query must not go on: a stage that may take long over one record (a
    template has loops) calls it now and then.
    """

    __slots__ = (
        "base", "check", "deleted", "details", "error", "extracted", "line", "metadata", "parsed",
        "timestamp",
    )  # fmt: skip

    def __init__(
        self, base: Mapping[str, str], metadata: dict[str, str], line: bytes, timestamp: int,
        check: Callable[[], None] = _go_on,
    ) -> None:  # fmt: skip
        self.base = base
        self.check = check
        self.metadata = metadata
        self.parsed: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.extracted: set[str] = set()
        self.line = line
        self.timestamp = timestamp
        self.error = ""
        self.details = ""

    def get(self, name: str) -> str | None:
        """The value of a label; None where there is none (an empty stream label is none)."""
        if name in self.metadata:
            return self.metadata[name]
        if name in self.parsed:
            return self.parsed[name]
        if name in self.deleted:
            return None
        return self.base.get(name) or None

    def set_parsed(self, name: str, value: str) -> None:
        """Set a label on the top layer."""
        self.metadata.pop(name, None)
        self.parsed[name] = value
        self.extracted.add(name)

    def taken(self, name: str) -> bool:
        """Whether a parser must write `name_extracted` instead."""
        return name in self.base or name in self.metadata

    def delete(self, name: str) -> None:
        """Remove a label from all layers."""
        self.metadata.pop(name, None)
        self.parsed.pop(name, None)
        self.deleted.add(name)

    def fail(self, error: str, details: str) -> None:
        """Note an error that a stage met."""
        self.error = error
        self.details = details

    def stream_labels(self) -> dict[str, str]:
        """What is left of the bottom layer."""
        if not (self.deleted or self.metadata or self.parsed):
            return dict(self.base)
        hidden = self.deleted | self.metadata.keys() | self.parsed.keys()
        return {k: v for k, v in self.base.items() if k not in hidden}

    def parsed_labels(self) -> dict[str, str]:
        """The top layer, with the error where there is one."""
        if not self.error and not self.details:
            return self.parsed
        out = dict(self.parsed)
        if self.error:
            out[ERROR] = self.error
        if self.details:
            out[ERROR_DETAILS] = self.details
        return out

    def labels(self) -> dict[str, str]:
        """All layers together."""
        return {**self.stream_labels(), **self.metadata, **self.parsed_labels()}


def layered(
    base: Mapping[str, str], attributes: Mapping[str, str]
) -> tuple[dict[str, str], str, str]:
    """Structured metadata as a row starts with it, and the error that it may carry itself."""
    metadata: dict[str, str] = {}
    error = details = ""
    for name, value in attributes.items():
        if name == ERROR:
            error = value
        elif name == ERROR_DETAILS:
            details = value
        else:
            metadata[name + EXTRACTED if name in base else name] = value
    return metadata, error, details
