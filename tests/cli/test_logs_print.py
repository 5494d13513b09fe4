import io
import json

import pytest

from kelp.cli.logs_items import Loss, Record
from kelp.cli.logs_print import DefaultPrinter, JsonPrinter, Look, format_bytes, loss_text
from tests.doubles.log_server import loss, record

NOW = 1_700_000_000 * 10**9


def printed(look, *items):
    out = io.BytesIO()
    printer = DefaultPrinter(out, look, lambda: NOW)
    for item in items:
        printer.item(item)
    return out.getvalue().decode("utf-8", "surrogateescape")


def a_record(line="x", **labels):
    return Record(**record(NOW, line, **labels)["record"])


def a_loss(**changed):
    return Loss(**{**loss(NOW, NOW + 3 * 10**9, 5 << 20)["loss"], **changed})


def test_pods_have_colours_of_their_own_in_turn():
    look = Look(colour=True, namespace=False)
    out = printed(look, a_record(pod="a"), a_record(pod="b"), a_record(pod="a"))
    first, second, third = out.splitlines()
    assert first == third
    assert first == "\x1b[1;36ma\x1b[0m \x1b[36mapp\x1b[0m x"
    assert second == "\x1b[1;32mb\x1b[0m \x1b[32mapp\x1b[0m x"


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ("error", "\x1b[31mx\x1b[0m"),
        ("fatal", "\x1b[91mx\x1b[0m"),
        ("warn", "\x1b[33mx\x1b[0m"),
        ("debug", "\x1b[90mx\x1b[0m"),
        ("info", "x"),
        ("unknown", "x"),
    ],
)
def test_severities_have_colours(severity, expected):
    assert printed(Look(colour=True), a_record(severity=severity)).endswith(f" {expected}\n")


def test_a_body_of_several_lines_has_its_prefix_on_each():
    assert printed(Look(namespace=False), a_record("one\ntwo")) == "web-0 app one\nweb-0 app two\n"


def test_what_has_no_pod_has_what_it_has():
    item = a_record(pod="", container="", namespace="n")
    assert printed(Look(), item) == "n x\n"


def test_bytes_pass_to_a_pipe_and_are_shown_on_a_terminal():
    item = a_record("\x1b[2J\r")
    assert printed(Look(namespace=False), item) == "web-0 app \x1b[2J\r\n"
    assert printed(Look(namespace=False, terminal=True), item) == "web-0 app ␛[2J\n"


def test_losses_say_how_much_when_and_why():
    assert loss_text(a_loss(), NOW).startswith("… 5.0 MiB not collected between ")
    assert loss_text(a_loss(), NOW).endswith(": rotated away")
    assert "… logs of unknown size not collected between " in loss_text(a_loss(size_bytes=0), NOW)
    assert loss_text(a_loss(reason="some_new_one"), NOW).endswith(": some_new_one")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_258_291, "1.2 MiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_sizes(size, expected):
    assert expected == format_bytes(size)


def test_an_array_is_whole_after_each_number_of_items():
    for count in range(3):
        out = io.BytesIO()
        printer = JsonPrinter(out, array=True)
        for _ in range(count):
            printer.item(a_record())
        printer.close()
        assert len(json.loads(out.getvalue())) == count
