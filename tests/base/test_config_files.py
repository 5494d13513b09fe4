"""What can be wrong with `agent.files` and `agent.zone`."""

import pytest

from kelp.base.config_checks import check
from kelp.base.settings import Agent, File, Settings, default_files


def findings(**agent):
    return [text for _, text in check(Settings(agent=Agent(**agent)))]


def test_the_defaults_are_right_and_name_each_file_once():
    paths = [f.path for f in default_files()]
    assert len(paths) == len(set(paths))
    assert findings() == []


@pytest.mark.parametrize("path", ["kubelet.log", "/", "", "/var/../log/a"])
def test_a_path_is_absolute_and_names_a_file(path):
    expected = [f'expected an absolute path of a file; got "{path}"']
    assert expected == findings(files=[File(path=path)])


@pytest.mark.parametrize("label", ["node", "1a", "a-b", ""])
def test_labels_are_names_that_kelp_does_not_set(label):
    (text,) = findings(files=[File(path="/a", labels={label: "x"})])
    assert f'got "{label}"' in text


@pytest.mark.parametrize("zone", ["Nowhere/City", "../etc/passwd", "Europe"])
def test_a_zone_is_known(zone):
    assert [f'expected a zone as in Europe/Berlin; got "{zone}"'] == findings(zone=zone)


def test_what_is_right():
    assert [] == findings(files=[File(path="/a/*.log", labels={"team": "x"})], zone="Asia/Kolkata")
