"""A small simulated node: a kubelet's moves on files, without a kubelet."""
