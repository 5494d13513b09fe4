"""A small simulated node: a kubelet's moves on files, without a kubelet.

For a first look at Kelp on a machine that is no Kubernetes node (`kelp up --demo`), and for tests
that want a living /var/log/pods. Everything is driven by a schedule of simulated time and a seeded
random source: the same seed and the same times give the same bytes in the same files.
"""
