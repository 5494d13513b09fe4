"""OOM kills on this node: where the kernel's words come from, and how kills are shown.

    source     a saved log, unpacked, in blocks          kmsg     this machine's ring buffer
    render     kills for people and as JSON

What the words mean is read by kelp.base.oom, which the agent uses as well.
"""
