"""Severity: what the body of a record says of it. For the agent's lines, and for pushed ones.

`detect_severity` is the whole of it; the other modules are its parts, one for each way to write a
line. Severities that stand beside a body (labels, metadata) are not its business.
"""

from kelp.base.severity.detect import detect_severity

__all__ = ["detect_severity"]
