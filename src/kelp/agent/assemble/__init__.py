"""Assemble: raw bytes to whole records.

A line of a container's file is a head (time, stream, tag) and a fragment of a record. The head is
read by column, fragments are joined per stream of an instance, and what is no such line is kept
as it came. Severity, fields and names are the business of later stages.
"""

from kelp.agent.assemble.assembler import CriAssembler
from kelp.agent.assemble.entries import JournalAssembler, KernelAssembler
from kelp.agent.assemble.plain import PlainAssembler

__all__ = ["CriAssembler", "JournalAssembler", "KernelAssembler", "PlainAssembler"]
