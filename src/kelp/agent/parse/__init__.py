"""Parse: what the body of a record says of itself. So far: its severity, as for pushed records."""

from kelp.base.severity import detect_severity

__all__ = ["detect_severity"]
