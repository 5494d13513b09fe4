import subprocess
import sys
from pathlib import Path

import pytest

from kelp.base.config_schema import keys
from kelp.cli.reference import PAGES, configuration_page

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The pages, written by a process of its own: commands remember how they were called."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, "-m", "kelp.cli.reference", folder], check=True)
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_says(name, written):
    expected = (written / name).read_text()
    assert expected == (DOCS / name).read_text(), "run `python -m kelp.cli.reference`"


def test_every_key_is_named_with_its_variable_and_default():
    page = configuration_page()
    for key in keys():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{key.path}` "))
        assert f"`{key.env}`" in row
        assert key.default_text.replace("|", "\\|") in row
        assert not row.endswith("|  |"), f"{key.path} says nothing of itself"
