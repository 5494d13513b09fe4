"""nodes: questions to nodes go to their agents, and the answers come back.

No stage of the way of a log line; beside them, as `serve` is. The server understands neither the
questions nor the answers: what a report is, node and command line know.
"""
