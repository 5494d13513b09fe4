"""A support bundle: what a node and its agent say of themselves, in one archive, redacted.

    entry      a file to be: its name, and what makes it     archive   all of them as a tar.gz
    reports    those of `kelp node`                          kernel    its log, its OOM kills
    commands   journalctl, versions                          problems   what is broken, by both
    disks, folders

A file is made when it is written, so that memory holds one at a time and one that cannot be made
costs itself alone: MANIFEST.json says which, and why. Everything passes one Redactor on its way
into the archive, whoever made it. Logs of containers are left out: those are in the store, behind
its rights.
"""
