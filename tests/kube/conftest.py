from __future__ import annotations

from collections.abc import Iterator

import pytest

from kelp.kube.access import Access
from kelp.kube.client import KubeClient
from kelp.kube.credentials import Fixed
from tests.doubles.kube_api import TOKEN, KubeApi


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as double:
        yield double


@pytest.fixture
def client(api: KubeApi) -> Iterator[KubeClient]:
    made = KubeClient(Access(api.url, Fixed.token(TOKEN), source="the test"))
    yield made
    made.close()
