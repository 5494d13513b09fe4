"""Links of /var/log/containers."""

from __future__ import annotations

from pathlib import Path

from kelp.node.trace.links import Link, container_id, hops, links_into

ID = "c0ffee" + "0" * 58


def test_links_that_lead_to_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pods" / "shop_web-0_u" / "app"
    folder.mkdir(parents=True)
    flat = tmp_path / "containers"
    flat.mkdir()
    (flat / f"web-0_shop_app-{ID}.log").symlink_to(folder / "0.log")
    (flat / "relative.log").symlink_to("../pods/shop_web-0_u/app/1.log")
    (flat / "other.log").symlink_to(folder.parent / "db" / "0.log")
    (flat / "plain.log").write_text("no link")
    assert [
        Link(str(flat / "relative.log"), "../pods/shop_web-0_u/app/1.log", ""),
        Link(str(flat / f"web-0_shop_app-{ID}.log"), str(folder / "0.log"), ID),
    ] == links_into(folder, flat)
    assert links_into(folder, tmp_path / "none") == []


def test_each_link_on_the_way_is_a_hop(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to(tmp_path / "x" / ".." / "c")
    assert [tmp_path / n for n in "abc"] == list(hops(tmp_path / "a"))


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert len(list(hops(tmp_path / "a"))) < 100


def test_container_ids() -> None:
    assert ID == container_id(f"web-0_shop_my-app-{ID}.log")
    for name in ("x.log", f"web_{ID}.log", f"web-0_shop_app-{ID[:-1]}.log", ""):
        assert container_id(name) == ""
