"""Annotations by the folder's uid, kept up to date over whatever the API server does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kelp.base.backoff import Backoff
from kelp.kube.access import Access
from kelp.kube.client import KubeClient
from kelp.kube.credentials import Fixed
from kelp.kube.pods import MAX_GONE, PodAnnotations, watch_pods
from kelp.kube.reflector import Meta, Reflector, list_all
from tests.doubles.kube_api import TOKEN, KubeApi
from tests.waiting import wait_until

NGINX = {"kelp.dev/format": "nginx"}


class Watched:
    """A reflector over a double, with what it said."""

    def __init__(self, api: KubeApi, token: str = TOKEN) -> None:
        self.api = api
        self.states: list[str] = []
        self.pods = PodAnnotations()
        client = KubeClient(Access(api.url, Fixed.token(token)))
        backoff = Backoff(0.01, 0.02)
        self.reflector = watch_pods(client, "n1", self.pods, self.states.append, backoff)

    def __enter__(self) -> Watched:
        self.reflector.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reflector.stop(5.0)
        assert not self.reflector._thread.is_alive()

    def formats(self, *uids: str) -> list[str]:
        return [self.pods.format_for(u, "app") for u in uids]

    def shows(self, uid: str, name: str) -> None:
        wait_until(lambda: self.formats(uid) == [name])


@pytest.fixture
def watched(api: KubeApi) -> Iterator[Watched]:
    api.pod("a", **NGINX)
    with Watched(api) as made:
        made.shows("a", "nginx")
        yield made


def test_what_is_there_and_what_comes(api, watched):
    api.pod("b", **{"kelp.dev/format": "envoy", "other": "x"})
    watched.shows("b", "envoy")
    api.pod("a", "MODIFIED", **{"kelp.dev/format": "json"})
    watched.shows("a", "json")
    assert {"kelp.dev/format": "envoy"} == watched.pods.annotations_of("b")
    assert "fieldSelector=spec.nodeName%3Dn1" in api.requests[0]
    assert "as=PartialObjectMetadataList" in api.headers[0]["accept"]
    assert [""] == watched.states


def test_a_pod_that_is_deleted_is_remembered_for_its_last_lines(api, watched):
    api.pod("a", "DELETED")
    wait_until(lambda: len(watched.pods) == 0)
    assert ["nginx"] == watched.formats("a")


def test_a_list_comes_in_pages(api):
    for n in range(7):
        api.pod(f"p{n}")
    api.page = 3
    client = KubeClient(Access(api.url, Fixed.token(TOKEN)))
    found, version = list_all(client, "/api/v1/pods", {}, "list pods")
    assert [f"p{n}" for n in range(7)] == [m.uid for m in found]
    assert str(api.version) == version
    assert 3 == len(api.requests)


def test_a_list_whose_pages_are_gone_begins_anew(api):
    for n in range(5):
        api.pod(f"p{n}", **NGINX)
    api.page = 2
    api.fault("continue=", status=410)
    with Watched(api) as watched:
        watched.shows("p4", "nginx")
        assert [""] == watched.states


def test_a_compaction_leads_to_a_new_list(api, watched):
    with api.lock:
        del api.pods["a"]
        api.forget()
    api.pod("b", **NGINX)
    watched.shows("b", "nginx")
    wait_until(lambda: len(watched.pods) == 1)


def test_a_version_that_is_gone_when_asked(api, watched):
    api.fault("watch", status=410)
    api.send({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
    api.pod("b", **NGINX)
    watched.shows("b", "nginx")


def test_a_cut_watch_goes_on_where_it_was(api):
    api.fault("watch=1", cut=1, times=3)
    with Watched(api) as watched:
        for n in range(10):
            api.pod(f"p{n}", **NGINX)
            watched.shows(f"p{n}", "nginx")
        assert 1 == sum("watch" not in r for r in api.requests)


def test_bookmarks_move_it_on(api, watched):
    asked = len(api.requests)
    with api.lock:
        api.version += 1
        version = api.version
        api.lock.notify_all()
    wait_until(lambda: watched.reflector._version == str(version))
    assert asked <= len(api.requests) <= asked + 1


@pytest.mark.parametrize(
    ("status", "state"), [(500, "refused"), (503, "refused"), (429, "refused")]
)
def test_trouble_is_told_and_survived(api, status, state):
    api.pod("a", **NGINX)
    api.fault("/pods", status=status, times=3)
    with Watched(api) as watched:
        watched.shows("a", "nginx")
        wait_until(lambda: watched.states[-1] == "")
        assert ["refused"] * 3 == watched.states[:3]


def test_a_missing_right_is_told_and_asked_for_again(api, caplog):
    caplog.set_level("INFO")
    api.pod("a", **NGINX)
    api.rights[TOKEN] = {"watch pods"}
    with Watched(api) as watched:
        wait_until(lambda: len(watched.states) > 2)
        assert {"denied"} == set(watched.states)
        assert [""] == watched.formats("a")
        api.rights[TOKEN] = {"watch pods", "list pods"}
        watched.shows("a", "nginx")
    told = [r for r in caplog.records if "asked again" in r.message]
    assert 1 == len(told)
    assert 'the right to "list pods"' in told[0].error  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["no JSON", '{"items": 5}', "[]", '{"items": []}'])
def test_answers_that_are_none(api, text):
    api.pod("a", **NGINX)
    api.fault("/pods", text=text, times=2)
    with Watched(api) as watched:
        watched.shows("a", "nginx")
        assert "away" == watched.states[0]


def test_a_watch_that_ends_at_once_does_not_run_hot(api):
    api.fault("watch", text="", times=1_000_000)
    with Watched(api) as watched:
        wait_until(lambda: len(api.requests) > 3)
        assert watched.reflector._backoff.failures > 0


def test_nobody_there_is_survived():
    with KubeApi() as gone:
        pass
    with Watched(gone) as watched:
        wait_until(lambda: len(watched.states) > 1)
        assert {"away"} == set(watched.states)


def test_stopping_what_never_started(api):
    watched = Watched(api)
    watched.reflector.stop(1.0)


def meta(uid: str, **annotations: str) -> Meta:
    return Meta(uid=uid, annotations=annotations or None)


def test_the_containers_own_annotation_goes_first():
    pods = PodAnnotations()
    pods.replace([meta("a", **{"kelp.dev/format": "nginx", "kelp.dev/format.side": " envoy "})])
    assert ["nginx", "envoy"] == [pods.format_for("a", c) for c in ("app", "side")]
    assert "" == pods.format_for("b", "app") == pods.format_for("", "")


def test_a_static_pod_is_known_by_its_folders_uid():
    pods = PodAnnotations()
    mirror = {"kubernetes.io/config.hash": "4af2", **NGINX}
    pods.changed("ADDED", meta("mirror", **mirror))
    assert "nginx" == pods.format_for("4af2", "etcd")
    pods.changed("DELETED", meta("mirror"))  # of a deleted object not all need be told
    assert 0 == len(pods)
    pods.replace([meta("mirror2", **mirror)])
    assert (1, "nginx") == (len(pods), pods.format_for("4af2", "etcd"))
    pods.replace([])
    assert 0 == len(pods)


def test_what_is_remembered_of_deleted_pods_is_bounded():
    pods = PodAnnotations()
    for n in range(MAX_GONE + 10):
        pods.changed("ADDED", meta(str(n), **NGINX))
        pods.changed("DELETED", meta(str(n)))
    assert (0, MAX_GONE) == (len(pods), len(pods._gone))
    assert ["", "nginx"] == [pods.format_for(str(n), "") for n in (0, MAX_GONE)]


def test_reading_from_many_threads_while_it_changes(api, watched):
    seen = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.update(watched.formats("a", "b"))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(50):
        api.pod("b", "ADDED" if n % 2 == 0 else "DELETED", **NGINX)
    watched.shows("b", "nginx")
    stop.set()
    for thread in threads:
        thread.join()
    assert seen <= {"", "nginx"}


def test_a_reflector_names_its_thread(api):
    reflector = Reflector(
        KubeClient(Access(api.url, Fixed())), "/api/v1/pods", {}, PodAnnotations()
    )
    assert "kube-pods" == reflector._thread.name
