import gzip
import random

import pytest

from kelp.demo.kubelet import MAX_LOG_BYTES, MAX_LOG_FILES, Kubelet
from kelp.demo.names import Names
from kelp.demo.schedule import Schedule

S = 1_000_000_000
START = 1_700_000_000 * S  # 2023-11-14 22:13:20


@pytest.fixture
def schedule():
    return Schedule(START)


@pytest.fixture
def kubelet(tmp_path, schedule):
    kubelet = Kubelet(tmp_path, schedule, Names(random.Random(7)))
    yield kubelet
    kubelet.close()


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def fill(kubelet, pod, text, lines=1):
    for _ in range(lines):
        pod.out("app", text)
    kubelet.flush()


def test_a_pod_has_a_folder_by_its_name_and_uid(kubelet, tmp_path):
    pod = kubelet.create("payments", "web-0", ["app", "proxy"])
    assert tmp_path / f"payments_web-0_{pod.uid}" == pod.folder
    assert names(pod.folder) == ["app", "proxy"]
    assert names(pod.folder / "app") == ["0.log"]
    assert (pod.folder / "app" / "0.log").stat().st_mode & 0o777 == 0o640


def test_lines_of_both_streams_share_a_file(kubelet, schedule):
    pod = kubelet.create("a", "b", ["app"])
    pod.out("app", "one\ntwo")
    schedule.run_until(START + 5)
    pod.err("app", b"\xff")
    kubelet.flush()
    assert (pod.folder / "app" / "0.log").read_bytes() == (
        b"2023-11-14T22:13:20Z stdout F one\n"
        b"2023-11-14T22:13:20Z stdout F two\n"
        b"2023-11-14T22:13:20.000000005Z stderr F \xff\n"
    )


def test_rotation_renames_compresses_late_and_deletes_the_oldest(kubelet, schedule):
    pod = kubelet.create("a", "b", ["app"])
    log = pod.containers["app"]
    folder = pod.folder / "app"

    def rotate(second, text):
        fill(kubelet, pod, text)
        inode = log.path.stat().st_ino
        schedule.run_until(START + second * S)
        kubelet.rotate(log)
        return inode

    first = rotate(0, "first")
    assert names(folder) == ["0.log", "0.log.20231114-221320"]
    assert first == (folder / "0.log.20231114-221320").stat().st_ino
    assert (folder / "0.log").read_bytes() == b""

    rotate(5, "second")
    assert names(folder) == [
        "0.log",
        "0.log.20231114-221320.gz",
        "0.log.20231114-221325",
    ]
    text = gzip.decompress((folder / "0.log.20231114-221320.gz").read_bytes())
    assert text == b"2023-11-14T22:13:20Z stdout F first\n"

    rotate(10, "third")
    assert len(names(folder)) == MAX_LOG_FILES
    rotate(15, "fourth")
    assert names(folder) == [
        "0.log",
        "0.log.20231114-221325.gz",
        "0.log.20231114-221330.gz",
        "0.log.20231114-221335",
    ]


def test_only_what_is_too_large_is_rotated(kubelet, schedule):
    small, large = kubelet.create("a", "small", ["app"]), kubelet.create("a", "large", ["app"])
    schedule.spawn(kubelet.monitor())
    fill(kubelet, small, "x")
    fill(kubelet, large, "x" * 1000, lines=MAX_LOG_BYTES // 1000)
    schedule.run_until(START + 11 * S)
    assert names(small.folder / "app") == ["0.log"]
    assert names(large.folder / "app") == ["0.log", "0.log.20231114-221330"]


def test_a_restart_begins_a_new_file_and_keeps_the_run_before(kubelet):
    pod = kubelet.create("a", "b", ["app"])
    fill(kubelet, pod, "run 0")
    kubelet.rotate(pod.containers["app"])
    kubelet.restart(pod, "app")
    assert names(pod.folder / "app") == ["0.log", "0.log.20231114-221320", "1.log"]
    fill(kubelet, pod, "run 1")
    kubelet.restart(pod, "app")
    assert names(pod.folder / "app") == ["1.log", "2.log"]
    assert b"run 1\n" in (pod.folder / "app" / "1.log").read_bytes()


def test_a_container_that_ended_prints_nothing_until_its_next_run(kubelet):
    pod = kubelet.create("a", "b", ["app"])
    pod.ended.add("app")
    pod.out("app", "ghost")
    kubelet.restart(pod, "app")
    fill(kubelet, pod, "back")
    assert (pod.folder / "app" / "0.log").read_bytes() == b""
    assert b"back\n" in (pod.folder / "app" / "1.log").read_bytes()


def test_a_deleted_pods_folder_goes_a_moment_later(kubelet, schedule):
    pod = kubelet.create("a", "b", ["app"])
    fill(kubelet, pod, "last words")
    schedule.spawn(kubelet.delete(pod))
    schedule.run_until(START + S)
    pod.out("app", "after the end")
    kubelet.flush()
    assert b"last words\n" in (pod.folder / "app" / "0.log").read_bytes()
    schedule.run_until(START + 2 * S)
    assert not pod.folder.exists()
