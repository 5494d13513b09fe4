import pytest

from kelp.base.mask import mask_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://u:p@h:8443/db", "https://***@h:8443/db"),
        ("https://u:p@ss@h/x@y", "https://***@h/x@y"),
        ("https://h/?user=u&password=p&x=1", "https://h/?user=u&password=***&x=1"),
        ("chdb:///var/lib/kelp", "chdb:///var/lib/kelp"),
        ("", ""),
    ],
)
def test_credentials_are_masked(text, expected):
    assert expected == mask_url(text)
