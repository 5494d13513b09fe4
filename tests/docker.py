"""What docker does to its containers' log files, and the links that a kubelet makes to them."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

from tests.kubelet import UID

ID = "4f" * 32


@dataclass
class DockerLog:
    """A container's log in docker's own folder; rotated as with max-file, and compressed."""

    root: Path
    id: str = ID
    number: int = 0
    written: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.folder = self.root / self.id
        self.folder.mkdir(parents=True)
        self.live = self.folder / f"{self.id}-json.log"
        self.live.touch()

    def lines(self, count: int) -> None:
        for _ in range(count):
            time = f"2026-11-18T00:00:{self.number // 1000:02}.{self.number % 1000:03}000000Z"
            line = {"log": f"seq={self.number}\n", "stream": "stdout", "time": time}
            data = json.dumps(line).encode() + b"\n"
            with self.live.open("ab") as out:
                out.write(data)
            self.written += data
            self.number += 1

    def rotate(self, *, compress: bool = False, keep: int = 5) -> None:
        """Docker's order: the oldest goes, numbers rise, the live file is renamed and made anew.

        An empty file is not rotated.
        """
        if not self.live.stat().st_size:
            return
        for suffix in ("", ".gz"):
            (self.folder / f"{self.live.name}.{keep}{suffix}").unlink(missing_ok=True)
            for n in range(keep - 1, 0, -1):
                path = self.folder / f"{self.live.name}.{n}{suffix}"
                if path.exists():
                    path.rename(self.folder / f"{self.live.name}.{n + 1}{suffix}")
        first = self.folder / f"{self.live.name}.1"
        self.live.rename(first)
        self.live.touch()
        if compress:
            packed = first.with_name(first.name + ".gz")
            packed.with_name(packed.name + ".tmp").write_bytes(gzip.compress(first.read_bytes()))
            packed.with_name(packed.name + ".tmp").rename(packed)
            first.unlink()

    def note(self, uid: str = UID, restarts: str = "3") -> None:
        """Docker's own notes of the container, with the kubelet's labels."""
        labels = {
            "io.kubernetes.pod.uid": uid,
            "annotation.io.kubernetes.container.restartCount": restarts,
        }
        config = {"ID": self.id, "Config": {"Labels": labels}}
        (self.folder / "config.v2.json").write_text(json.dumps(config))

    def link_from(self, pods: Path, restart: int = 0, container: str = "app") -> Path:
        """The kubelet's `N.log` that leads here."""
        folder = pods / f"shop_web-0_{UID}" / container
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / f"{restart}.log"
        link.symlink_to(self.live)
        return link


def flat_link(folder: Path, target: Path, container: str = "app", id: str = ID) -> Path:  # noqa: A002
    """The kubelet's link in /var/log/containers."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / f"web-0_shop_{container}-{id}.log"
    link.symlink_to(target)
    return link
