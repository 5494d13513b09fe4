"""Names of pods and containers out of the kubelet's folders."""

import pytest

from kelp.base.podnames import PodName, PodNames

ID = "c0ffee" + "0" * 58


@pytest.fixture
def log(tmp_path):
    (tmp_path / "pods" / "shop_web-1_uid-1").mkdir(parents=True)
    (tmp_path / "pods" / "no pod").mkdir()
    for folder in ("containers", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "containers" / f"web-1_shop_app-{ID}.log").touch()
    (tmp_path / "elsewhere" / f"web-1_shop_side-car-{ID}.log").touch()
    return tmp_path


def test_names(log):
    names = PodNames(log / "pods")
    assert PodName("shop", "web-1") == names.pod("uid-1")
    assert "app" == names.container(ID)


def test_links_in_another_folder(log):
    assert "side-car" == PodNames(log / "pods", log / "elsewhere").container(ID)


def test_what_nobody_knows(log):
    names = PodNames(log / "nowhere")
    assert (None, None, None) == (names.pod("uid-1"), names.pod(None), names.container(""))
