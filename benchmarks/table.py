"""Rows of figures with their targets, printed and written as Markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured figure; `target` is its upper bound in the same unit, None: no target."""

    work: str
    value: float
    unit: str
    target: float | None = None

    @property
    def verdict(self) -> str:
        """met, or by how much it was missed."""
        if self.target is None:
            return ""
        return "met" if self.value <= self.target else f"missed ({self.value / self.target:.2f}×)"


def markdown(title: str, rows: list[Row]) -> str:
    """A table under a heading."""
    lines = [f"## {title}", "", "| work | measured | target | |", "|---|---:|---:|---|"]
    for r in rows:
        target = "" if r.target is None else f"≤ {r.target:g} {r.unit}"
        value = f"{r.value:,.0f}" if r.value >= 1000 else f"{r.value:.3g}"
        lines.append(f"| {r.work} | {value} {r.unit} | {target} | {r.verdict} |")
    return "\n".join([*lines, ""])
