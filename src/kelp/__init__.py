"""Kelp, the Kubernetes Event and Log Platform.

The way of a log line, and the packages that bear the names of its stages:

    node:    collect → assemble → parse → enrich → process → spool → ship    (kelp.agent)
    server:  receive → admit → store → query → serve                        (kelp.server)

What passes each arrow is a LogBatch (kelp.model.batch), never a single line.
"""

__version__ = "0.1.0"
