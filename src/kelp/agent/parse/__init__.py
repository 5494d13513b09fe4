"""Parse: what the body of a record says of itself. So far: its severity."""

from kelp.agent.parse.severity import detect_severity

__all__ = ["detect_severity"]
