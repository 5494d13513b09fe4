from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.agent.collect.paths import (
    PodFolder,
    make_instance,
    parse_log_name,
    parse_pod_folder,
)

UID = "4308ca05-ac1a-4175-a51f-3a7ff3d3dfc5"


def test_a_pod_folder_has_three_parts() -> None:
    expected = PodFolder("shop", "orders-api-5989d49775-2rmz9", UID)
    assert expected == parse_pod_folder(f"shop_orders-api-5989d49775-2rmz9_{UID}")
    assert not expected.static


def test_a_static_pods_uid_is_a_hash() -> None:
    folder = parse_pod_folder("kube-system_etcd-cp-1_4af2f5b1e0c39ac2f2e1d6e3b7a01f55")
    assert folder is not None
    assert folder.static


@pytest.mark.parametrize("name", ["", "lost+found", "a_b", "a__c", "a_b_c_d", "_b_c", "ä_b_c"])
def test_other_folders_are_none(name: str) -> None:
    assert parse_pod_folder(name) is None


@given(st.text(max_size=40))
def test_any_name_is_taken_or_left(name: str) -> None:
    parse_pod_folder(name)
    parsed = parse_log_name(name)
    assert parsed is None or name == parsed.name


@pytest.mark.parametrize(
    ("name", "restart", "live", "gz"),
    [
        ("0.log", "0", True, False),
        ("17.log", "17", True, False),
        ("0.log.20261120-101112", "0", False, False),
        ("0.log.20261120-101112.gz", "0", False, True),
        ("0.log-20261120", "0", False, False),
        ("0.log.1", "0", False, False),
        ("0.log.12.gz", "0", False, True),
    ],
)
def test_log_names(name: str, restart: str, live: bool, gz: bool) -> None:
    parsed = parse_log_name(name)
    assert parsed is not None
    assert (restart, live, gz) == (parsed.restart, parsed.live, parsed.gz)
    assert parsed.ordered


@pytest.mark.parametrize(
    "name",
    [
        "0.log.20261120-101112.tmp",
        "0.log.tmp",
        "x.log",
        "0.txt",
        ".log",
        "0.logx",
        "1234567890.log",
    ],
)
def test_names_that_are_no_logs(name: str) -> None:
    assert parse_log_name(name) is None


def test_an_unknown_suffix_has_no_place_in_time() -> None:
    parsed = parse_log_name("0.log.bak")
    assert parsed is not None
    assert not parsed.ordered


@pytest.mark.parametrize(
    "oldest_first",
    [
        ["0.log.20261120-101112.gz", "0.log.20261120-101113", "0.log"],
        ["0.log.20261120-101112.gz", "0.log.20261120-101112", "0.log"],
        ["0.log.10.gz", "0.log.2.gz", "0.log.1", "0.log"],
        ["0.log-20261119.gz", "0.log-20261120", "0.log-20261120-01", "0.log"],
    ],
)
def test_names_sort_from_oldest_to_newest(oldest_first: list[str]) -> None:
    names = [n for n in map(parse_log_name, sorted(oldest_first)) if n]
    assert oldest_first == [n.name for n in sorted(names, key=lambda n: n.key)]


def test_labels_come_from_the_path_and_the_settings() -> None:
    folder = PodFolder("shop", "web-0", UID)
    path = f"/var/log/pods/shop_web-0_{UID}/app/3.log"
    instance = make_instance(folder, "app", "3", path, node="n1", cluster="")
    assert f"shop/web-0/{UID}/app/3" == instance.key
    assert {
        "dataset": "app",
        "namespace": "shop",
        "pod": "web-0",
        "pod_uid": UID,
        "container": "app",
        "restart": "3",
        "node": "n1",
        "filename": path,
    } == instance.labels
