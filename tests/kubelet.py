"""The moves that a kubelet and its runtime make on log files, one at a time.

Each step of a rotation is a call of its own, so that a test can look, or kill, between any two:
the real ones happen within milliseconds of each other and seldom show what stands between them.
`written` keeps all that a container ever wrote, which is what a collector must give out.
"""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

UID = "0f6f3a1e-9d7c-4c0e-8f5a-1d2c3b4a5e6f"


def cri_line(number: int, text: str = "", *, tag: str = "F", stream: str = "stdout") -> bytes:
    """A CRI line that no other number gives; its time is `number` milliseconds after an epoch."""
    day, rest = divmod(number, 86_400_000)
    hour, rest = divmod(rest, 3_600_000)
    minute, rest = divmod(rest, 60_000)
    stamp = f"2026-11-{18 + day:02}T{hour:02}:{minute:02}:{rest // 1000:02}.{rest % 1000:03}000000Z"
    return f"{stamp} {stream} {tag} seq={number} {text}\n".encode()


@dataclass
class ContainerLog:
    """Log files of one instance of a container, as the runtime and the kubelet handle them."""

    folder: Path
    restart: int = 0
    written: bytearray = field(default_factory=bytearray)
    number: int = 0
    _out: int = -1

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.reopen()

    @property
    def live(self) -> Path:
        return self.folder / f"{self.restart}.log"

    def rotated(self) -> list[Path]:
        """Rotated files, oldest first."""
        return sorted(p for p in self.folder.glob(f"{self.restart}.log.*") if p.suffix != ".tmp")

    # The runtime

    def reopen(self) -> None:
        """Create the live file if it is not there, and write to it from now on."""
        self.close()
        self._out = os.open(self.live, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def close(self) -> None:
        if self._out >= 0:
            os.close(self._out)
        self._out = -1

    def write(self, data: bytes) -> None:
        """Append to the file that is open, whatever its name is by now."""
        os.write(self._out, data)
        self.written += data

    def lines(self, count: int, text: str = "x" * 40) -> None:
        for _ in range(count):
            self.write(cri_line(self.number, text))
            self.number += 1

    # The kubelet

    def rename(self, stamp: str) -> Path:
        """First half of a rotation; the runtime still writes into the renamed file."""
        target = self.live.with_name(f"{self.live.name}.{stamp}")
        self.live.rename(target)
        return target

    def rotate(self, stamp: str) -> Path:
        target = self.rename(stamp)
        self.reopen()
        return target

    def begin_compress(self, path: Path) -> Path:
        """Write the .tmp; half of it is all that a crash would leave."""
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        return temporary

    def finish_compress(self, path: Path) -> Path:
        """Give the .tmp its name; the original is still there."""
        target = path.with_name(path.name + ".gz")
        path.with_name(path.name + ".tmp").rename(target)
        return target

    def compress(self, path: Path) -> Path:
        self.begin_compress(path)
        target = self.finish_compress(path)
        path.unlink()
        return target

    def delete_oldest(self) -> None:
        self.rotated()[0].unlink()

    # Others

    def copytruncate(self, name: str) -> Path:
        """logrotate's way: copy, then cut the original to nothing."""
        target = self.copy(name)
        self.truncate()
        return target

    def copy(self, name: str) -> Path:
        """Its first half; what is written before the second is in no file."""
        target = self.folder / name
        shutil.copyfile(self.live, target)
        return target

    def truncate(self) -> None:
        os.truncate(self.live, 0)

    def after_crash(self) -> ContainerLog:
        """The next instance of the same container, in the same folder."""
        self.close()
        return ContainerLog(self.folder, self.restart + 1, number=self.number)


class Kubelet:
    """A pods folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def pod_folder(self, pod: str = "web-0", namespace: str = "shop", uid: str = UID) -> Path:
        return self.root / f"{namespace}_{pod}_{uid}"

    def start(self, pod: str = "web-0", container: str = "app", *, uid: str = UID) -> ContainerLog:
        return ContainerLog(self.pod_folder(pod, uid=uid) / container)

    def remove_pod(self, pod: str = "web-0") -> None:
        """What the kubelet does to a deleted pod: everything at once."""
        shutil.rmtree(self.pod_folder(pod))
