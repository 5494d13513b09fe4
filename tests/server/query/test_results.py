"""Scenes with their answers: every element of the language, through the engine."""

from __future__ import annotations

import pytest

from kelp.server.ports import Scope
from kelp.server.query.service import QueryService
from kelp.server.store.store import Store
from tests.server.query.scenes import Scene, answer, scenes
from tests.server.query.store import insert


@pytest.mark.parametrize("scene", scenes(), ids=str)
def test_scene(scene: Scene, store: Store, service: QueryService, scope: Scope) -> None:
    insert(store, scope.tenant, scene.lines)
    for question in scene.questions:
        got = answer(service, scope, question)
        if question.expected and question.expected[0].startswith("error "):
            assert question.expected[0][6:] in got[0], f"{scene.file}:{question.line}"
        else:
            assert question.expected == got, f"{scene.file}:{question.line}"
