"""Stream ids are the identity of everything stored: they may never change by accident."""

from kelp.model.stream import Stream, stream_id


def test_id_is_the_same_in_every_version():
    # A change of this number would store every stream of every user a second time.
    assert stream_id({"namespace": "shop", "pod": "web-0"}) == 0x31476AD877126961


def test_order_of_labels_does_not_matter():
    assert stream_id({"a": "1", "b": "2"}) == stream_id({"b": "2", "a": "1"})


def test_empty_value_is_no_label():
    assert stream_id({"a": "1", "b": ""}) == stream_id({"a": "1"})
    assert Stream({"a": "1", "b": ""}).labels == {"a": "1"}


def test_borders_between_names_and_values_count():
    assert stream_id({"a": "bc"}) != stream_id({"ab": "c"})
    assert stream_id({"a": "1", "b": "2"}) != stream_id({"a": "1b2"})


def test_tenants_do_not_share_streams():
    stream = Stream({"pod": "web-0"})
    assert stream.of_tenant("blue").id != stream.id
    assert stream.of_tenant("blue").labels == stream.labels
    assert stream.of_tenant("") == stream
