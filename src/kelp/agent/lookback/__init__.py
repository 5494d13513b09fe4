"""Looking back: what an agent's own state and the node's files say of what it has read.

For tools that run beside the agent (`kelp trace`). It uses the agent's stages as `pipeline` does,
changes nothing, and takes no lock that a running agent would notice.
"""
