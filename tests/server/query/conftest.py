"""One engine for all tests of a module: a process holds one at a time, and starting takes time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from kelp.base.settings import Query, Settings
from kelp.server.ports import Scope
from kelp.server.query.service import QueryService
from kelp.server.store.opening import open_store
from kelp.server.store.store import Store

_tenants = count()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("query")
    store = open_store(Settings(data_dir=str(folder)))
    yield store
    store.close()


@pytest.fixture
def plain() -> Query:
    """Settings without derived labels, so that answers hold what was stored and nothing else."""
    return Query(derive_service_name=False, derive_detected_level=False)


@pytest.fixture
def service(store: Store, plain: Query) -> QueryService:
    return QueryService(store.engine, plain, store.dialect)


@pytest.fixture
def scope() -> Scope:
    """A tenant of its own for each test."""
    return Scope(f"tenant-{next(_tenants)}")
