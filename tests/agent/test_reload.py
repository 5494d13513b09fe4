"""Which keys take effect at once, and which need a restart."""

from __future__ import annotations

import msgspec

from kelp.agent.reload import LIVE, compare, with_live_keys
from kelp.base.config_schema import keys
from kelp.base.settings import Settings


def changed(path: str, value: object) -> Settings:
    settings = Settings(data_dir="/d")
    section: object = settings
    *sections, name = path.split(".")
    for s in sections:
        section = getattr(section, s)
    setattr(section, name, value)
    return settings


def test_the_same_settings_differ_in_nothing():
    difference = compare(Settings(data_dir="/d"), Settings(data_dir="/d"))
    assert (difference.live, difference.restart) == ([], [])
    assert difference.text() == "nothing changed"


def test_every_key_of_the_agent_is_told_apart():
    for key in keys():
        difference = compare(Settings(data_dir="/d"), changed(key.path, "another"))
        ours = key.path.startswith("agent.") or key.path in ("data_dir", "log_level")
        live = key.path.startswith(LIVE)
        assert difference.live == [key.path] * (ours and live)
        assert difference.restart == [key.path] * (ours and not live)


def test_live_keys_name_keys_that_are_there():
    names = [k.path for k in keys()]
    assert all(any(n.startswith(live) for n in names) for live in LIVE)


def test_with_live_keys_takes_over_exactly_these():
    old = Settings(data_dir="/d")
    for key in keys():
        new = changed(key.path, "another")
        expected = new if key.path.startswith(LIVE) else old
        found = with_live_keys(old, new)
        assert msgspec.to_builtins(found) == msgspec.to_builtins(expected)


def test_the_text_names_both_kinds():
    settings = changed("agent.pods_dir", "/other")
    settings.log_level = "debug"
    assert compare(Settings(data_dir="/d"), settings).text() == (
        "changed: log_level; needs a restart: agent.pods_dir"
    )
