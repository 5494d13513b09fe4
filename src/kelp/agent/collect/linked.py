"""Log files behind links: a `0.log` that leads to the runtime's own file, and its rotations.

Docker keeps a container's log in a folder of its own, and the kubelet's `0.log` is a link to it:

    POD/app/0.log → /var/lib/docker/containers/ID/ID-json.log
                    /var/lib/docker/containers/ID/ID-json.log.1, ….2.gz     rotated by docker

Names of files elsewhere are absolute paths, so that a folder joined with such a name leads there.
"""

from __future__ import annotations

import os
from pathlib import Path

from kelp.agent.collect.paths import LogName, rotated

_UNFINISHED = ".tmp"


def link_target(path: Path) -> Path | None:
    """The file that a link leads to in the end, whether it is there or not; None for no link."""
    if not path.is_symlink():
        return None
    # In a loop of links the path itself comes out, which leads to no file.
    return Path(os.path.realpath(path))


def rotated_behind(target: Path, log: str) -> list[LogName]:
    """Names of what was rotated away from `target`; empty where its folder cannot be read."""
    try:
        names = os.listdir(target.parent)  # noqa: PTH208 - as in tree
    except OSError:
        return []  # the link's own file is not there either, and is looked for by its name
    live = target.name
    return [
        rotated(str(target.parent / name), log, name[len(live) + 1 :])
        for name in names
        if name.startswith((f"{live}.", f"{live}-")) and not name.endswith(_UNFINISHED)
    ]


def name_behind(name: str, log: str) -> LogName:
    """A name out of a checkpoint that is none of the log's own folder.

    Which number it had does not matter any more, but whether it is compressed.
    """
    ending = Path(name).suffix
    return rotated(name, log, "0" if ending[1:].isdigit() else f"0{ending}")
