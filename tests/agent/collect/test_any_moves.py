"""Whatever is done to the files, and whenever the agent dies: each byte once, or told as lost."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from kelp.agent.collect.fingerprint import TELLING_BYTES
from tests.agent.collect.harness import Pipeline
from tests.kubelet import ContainerLog, Kubelet


@dataclass
class Content:
    """What was written between two rotations: a range of all that was written.

    Content that came and went while no collector looked leaves no trace, so it may be missing
    without a word; so may what only a collector knew that died before it committed.
    """

    start: int
    end: int | None = None
    looked_at: bool = False
    destroyed: bool = False
    excused: bool = False

    def destroy(self) -> None:
        self.destroyed = True
        self.excused = not self.looked_at

    def agent_died(self) -> None:
        self.excused |= self.destroyed
        self.looked_at = False


class AnyMoves(RuleBasedStateMachine):
    """Moves on one container's files, between looks, commits and deaths of a collector."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="kelp-moves-"))
        self.stamp = 0
        self.live = Content(0)
        self.rotated: dict[str, Content] = {}  # by name, without .gz
        self.destroyed: list[Content] = []

    @initialize(inotify=st.booleans(), share=st.sampled_from([300, 4 << 20]))
    def begin(self, inotify: bool, share: int) -> None:
        kubelet = Kubelet(self.root / "pods")
        self.app: ContainerLog = kubelet.start()
        self.pipeline = Pipeline(
            kubelet.root, inotify=inotify, max_read_bytes=share, max_open_files=4
        )

    def teardown(self) -> None:
        try:
            if hasattr(self, "pipeline"):
                self.app.lines(1)
                self.pipeline.run()
                self.pipeline.run()
                self._check(whole=True)
        finally:
            if hasattr(self, "pipeline"):
                self.app.close()
                self.pipeline.collector.close()
            shutil.rmtree(self.root)

    # The container and its runtime

    @rule(count=st.integers(1, 30))
    def write_lines(self, count: int) -> None:
        self.app.lines(count)

    @rule(size=st.integers(TELLING_BYTES, 70))
    def write_part_of_a_line(self, size: int) -> None:
        self.app.number += 1
        self.app.write(f"P{self.app.number:06}".encode().ljust(size, b"y"))

    # The kubelet

    @rule()
    def rotate(self) -> None:
        if self.app.live.exists():
            self.rename_without_reopening()
        self.app.reopen()
        self._next_content()

    @precondition(lambda self: self.app.live.exists())
    @rule()
    def rename_without_reopening(self) -> None:
        self.rotated[self.app.rename(self._stamp()).name] = self.live

    def _next_content(self) -> None:
        self.live.end = len(self.app.written)
        self.live = Content(len(self.app.written))

    def _stamp(self) -> str:
        self.stamp += 1
        return f"20261118-{self.stamp:06}"

    @rule()
    def compress_what_is_plain(self) -> None:
        for path in self._finished():
            if path.suffix != ".gz":
                self.app.compress(path)

    @rule()
    def begin_to_compress(self) -> None:
        for path in self._finished():
            if path.suffix != ".gz":
                self.app.begin_compress(path)
                self.app.finish_compress(path)

    @precondition(lambda self: self._finished())
    @rule()
    def delete_oldest(self) -> None:
        oldest = self._finished()[0]
        oldest.unlink()
        oldest.with_name(oldest.name + ".gz").unlink(missing_ok=True)
        self._destroy(self.rotated[oldest.name.removesuffix(".gz")])

    def _destroy(self, content: Content) -> None:
        content.destroy()
        self.destroyed.append(content)

    def _finished(self) -> list[Path]:
        """Rotated files, oldest first, that the runtime no longer writes to."""
        return [p for p in self.app.rotated() if self.app.live.exists()]

    # logrotate

    @precondition(lambda self: self.app.live.exists())
    @rule()
    def copytruncate(self) -> None:
        self.rotated[self.app.copytruncate(f"0.log.{self._stamp()}").name] = self.live
        self._next_content()

    @precondition(lambda self: self.app.live.exists())
    @rule(count=st.integers(1, 20), look=st.booleans())
    def copy_write_truncate(self, count: int, look: bool) -> None:
        """What is written between copy and truncation is in no file; it may have been read."""
        copy = self.app.copy(f"0.log.{self._stamp()}")
        between = Content(len(self.app.written))
        self.app.lines(count)
        if look:
            self.read_and_commit()
        self.app.truncate()
        self.rotated[copy.name] = self.live
        self._next_content()
        between.end = self.live.start
        self._destroy(between)

    @precondition(lambda self: self.app.live.exists())
    @rule()
    def truncate(self) -> None:
        self.app.live.write_bytes(b"")
        self._destroy(self.live)
        self._next_content()

    # The agent

    def _looked(self) -> None:
        """A collector without inotify looks once a second."""
        for content in (self.live, *self.rotated.values()):
            # An empty file can be told from no other: nothing was seen of its content.
            content.looked_at |= (content.end or len(self.app.written)) > content.start

    @rule()
    def look_without_reading(self) -> None:
        self.pipeline.clock.sleep(1.1)
        self.pipeline.collector.discover()
        self._looked()

    @rule()
    def poll_once(self) -> None:
        self.pipeline.clock.sleep(1.1)
        self.pipeline.take_one()
        self._looked()

    @rule()
    def read_and_commit(self) -> None:
        self.pipeline.clock.sleep(1.1)
        self.pipeline.take()
        self.pipeline.commit()
        self._looked()

    @rule()
    def read_all_and_commit(self) -> None:
        self.pipeline.run()
        self._looked()

    @rule(seconds=st.sampled_from([0.3, 1.1, 6.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.pipeline.clock.sleep(seconds)

    @rule()
    def die(self) -> None:
        self.pipeline.kill()
        for content in (self.live, *self.rotated.values(), *self.destroyed):
            content.agent_died()

    @invariant()
    def nothing_twice(self) -> None:
        if hasattr(self, "pipeline"):
            self._check()

    def _check(self, *, whole: bool = False) -> None:
        written = bytes(self.app.written)
        excused = bytearray(len(written))
        for content in self.destroyed:
            if content.excused:
                excused[content.start : content.end] = b"\1" * (
                    (content.end or len(written)) - content.start
                )
        check(written, excused, self.pipeline, whole=whole)


def check(written: bytes, excused: bytes, pipeline: Pipeline, *, whole: bool) -> None:
    """What was given out is `written`, save where losses were told; to the end if `whole`.

    Bytes may be missing without being told where `excused` has a 1.

    Every line of `written` is unlike all others, so where a piece belongs is never in doubt.
    """
    (story,) = pipeline.story.values() or [[]]
    at, gap, least = 0, False, 0
    for part in story:
        if isinstance(part, int):
            gap, least = True, least + part
            continue
        found = written.find(part, at)
        assert found >= 0, f"given out before {at}, or never written: {part[:80]!r}"
        assert gap or all(excused[at:found]), f"missing: {written[at:found][:80]!r}"
        assert found - at >= least, f"{least} bytes told as lost, {found - at} are missing"
        at, gap, least = found + len(part), False, 0
    rest = written[at:]
    if whole and not gap:
        assert all(excused[at : written.rfind(b"\n") + 1]), f"missing: {rest[:80]!r}"


TestAnyMoves = AnyMoves.TestCase
TestAnyMoves.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
