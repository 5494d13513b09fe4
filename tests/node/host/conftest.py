import json
import os
import traceback

import pytest

from .tree import FakeClock, Tree


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def as_nobody():
    """Run a function as a user without rights, in a child; its answer must be fit for JSON."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")

    def run(function):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                answer = {"value": function()}
            except BaseException:  # noqa: BLE001 - the child must not go on as pytest
                answer = {"error": traceback.format_exc()}
            os.write(writing, json.dumps(answer).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = json.loads(pipe.read())
        os.waitpid(child, 0)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    return run
