"""Stores for the tests. A process holds one engine at a time, so each test closes its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kelp.base.settings import Settings
from kelp.server.store.opening import open_store
from kelp.server.store.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = open_store(settings)
    yield store
    store.close()
