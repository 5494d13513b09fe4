"""From a line to its file and back: what the node's own files say, and whether the store agrees.

Pure comparison and reading of the node's configuration; what an agent knows of its files is
`kelp.agent.lookback`, and `kelp.cli.trace` brings both together.
"""
