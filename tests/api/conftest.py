"""One server for the tests of a file: a process holds one engine at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kelp.base.settings import Server, Settings
from tests.api.running import Api, Running, running


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=str(tmp_path_factory.mktemp("kelp")),
        server=Server(listen="127.0.0.1:0", max_request_bytes=1 << 20, insert_interval_s=0.02),
    )


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Running]:
    with running(settings) as server:
        yield server


@pytest.fixture
def api(server: Running) -> Iterator[Api]:
    api = Api(server)
    yield api
    api.close()
