from typing import Annotated, Literal

import pytest
from msgspec import Meta

from kelp.base.config_schema import expectation, json_schema, keys, sections


def test_every_key_says_what_it_is_for():
    assert [k.path for k in keys() if not k.doc] == []


def test_every_section_says_what_it_is_for():
    assert [path for path, doc in sections() if not doc] == []


def test_every_key_has_an_environment_variable_of_its_own():
    names = [k.env for k in keys()]
    assert len(names) == len(set(names))
    assert "KELP_AGENT_SPOOL_MAX_BYTES" in names


def test_a_default_that_depends_is_described():
    texts = {k.path: k.default_text for k in keys()}
    assert texts["agent.node"].lower() == "the machine's host name"
    assert texts["data_dir"].startswith("/var/lib/kelp for root")
    assert texts["server.listen"] == '"127.0.0.1:3170"'


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, "int"),
        (Annotated[int, Meta(le=65535)], "int <= 65535"),
        (Annotated[float, Meta(gt=0, lt=1)], "number > 0 and < 1"),
        (bool, "true or false"),
        (str, "text"),
        (list[str], "a list, each of it text"),
        (Literal["b", "a"], '"b" or "a"'),
    ],
)
def test_expectations_are_in_words(annotation, expected):
    assert expected == expectation(annotation)


def test_the_json_schema_describes_each_key():
    schema = json_schema()
    spool = schema["$defs"]["Spool"]["properties"]
    assert "At the limit the agent stops reading" in spool["max_bytes"]["description"]
    assert spool["max_bytes"]["minimum"] == 0
    assert schema["$defs"]["Spool"]["additionalProperties"] is False
    assert (
        (schema["$defs"]["Retention"]["properties"]["days"]["description"])
        == "Records older than this go."
    )
