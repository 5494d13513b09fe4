"""Encryption of the spool: nothing readable on disk, nothing changeable, and a way in and out."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.agent.spool import DamageError, Vault
from kelp.agent.spool import seal as seal_module
from kelp.agent.spool.seal import MAGIC, AesSealer, read_key
from kelp.agent.spool.vault import _SEALED
from kelp.base.errors import ConfigError
from tests.agent.spool.test_spool import opened, payload, waiting

KEY = bytes(range(32))
SECRET = "card 4111-1111-1111-1111"


def sealed(key: bytes = KEY) -> Vault:
    return Vault(AesSealer(key))


def files(path) -> bytes:
    return b"".join(f.read_bytes() for f in sorted(path.rglob("*")) if f.is_file())


def test_the_two_names_of_the_magic_are_one():
    assert MAGIC == _SEALED


def test_nothing_of_the_text_is_on_disk(tmp_path):
    spool = opened(tmp_path / "s", vault=sealed())
    spool.commit([payload(SECRET)], {"assemble": {"key": SECRET.encode()}})
    assert SECRET.encode() not in files(tmp_path)
    spool.close()
    assert SECRET.encode() not in files(tmp_path)
    spool = opened(tmp_path / "s", vault=sealed())
    assert {"key": SECRET.encode()} == spool.checkpoints("assemble")
    assert [(1, SECRET.encode())] == waiting(spool)


@given(data=st.binary(max_size=200), chunk=st.integers(1, 40))
def test_what_is_sealed_opens_to_the_same_in_any_number_of_chunks(data, chunk):
    original = seal_module._CHUNK
    seal_module._CHUNK = chunk
    try:
        vault = sealed()
        stored = vault.put_segment(memoryview(data), "agent", 7)
        assert data == bytes(vault.get_segment(stored, "agent", 7))
    finally:
        seal_module._CHUNK = original


@given(data=st.data())
def test_any_change_is_seen(data):
    original = seal_module._CHUNK
    seal_module._CHUNK = 16
    try:
        vault = sealed()
        stored = bytearray(vault.put_segment(memoryview(b"a" * 50), "agent", 7))
        kind = data.draw(st.sampled_from(["flip", "cut", "swap", "append"]))
        if kind == "flip":
            at = data.draw(st.integers(len(MAGIC), len(stored) - 1))
            stored[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del stored[data.draw(st.integers(len(MAGIC), len(stored) - 1)) :]
        elif kind == "append":
            stored += data.draw(st.binary(min_size=1, max_size=40))
        else:
            first = len(MAGIC) + 32
            a, b = stored[first : first + 32], stored[first + 32 : first + 64]
            stored[first : first + 64] = b + a
        with pytest.raises(DamageError):
            vault.get_segment(memoryview(bytes(stored)), "agent", 7)
    finally:
        seal_module._CHUNK = original


@pytest.mark.parametrize(("agent", "seq"), [("other", 7), ("agent", 8)])
def test_a_segment_opens_only_in_its_own_place(agent, seq):
    stored = sealed().put_segment(memoryview(b"x"), "agent", 7)
    with pytest.raises(DamageError):
        sealed().get_segment(stored, agent, seq)


def test_a_segment_moved_to_another_number_counts_as_damaged(tmp_path):
    spool = opened(tmp_path / "s", vault=sealed())
    spool.commit([payload("aaaa"), payload("bbbb")], {})
    first, second = (tmp_path / "s" / "segments" / f"{i:020d}.segment" for i in (1, 2))
    spool.close()
    second.write_bytes(first.read_bytes())
    spool = opened(tmp_path / "s", vault=sealed())
    assert waiting(spool) == [(1, b"aaaa")]


def test_signed_bytes_as_arrow_has_them_are_taken():
    sealer = AesSealer(bytes(32))
    sealed = sealer.seal(memoryview(b"abc").cast("b"), b"name")
    assert bytes(sealer.open(sealed, b"name")) == b"abc"


def test_the_same_text_is_never_stored_the_same():
    vault = sealed()
    stored = {bytes(vault.put_segment(memoryview(b"x"), "a", 1)) for _ in range(10)}
    assert len(stored) == 10
    values = {vault.put_value(b"x", "stage", "key") for _ in range(10)}
    assert len(values) == 10


def test_switching_it_on_seals_what_is_new_and_leaves_no_plain_checkpoint(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("old")], {"assemble": {"key": SECRET.encode()}})
    spool.close()
    spool = opened(tmp_path / "s", vault=sealed())
    spool.commit([payload("new")], {})
    spool.close()
    assert SECRET.encode() not in files(tmp_path)
    spool = opened(tmp_path / "s", vault=sealed())
    assert {"key": SECRET.encode()} == spool.checkpoints("assemble")
    assert waiting(spool) == [(1, b"old"), (2, b"new")]


def test_switching_it_off_needs_the_key_once_more(tmp_path):
    spool = opened(tmp_path / "s", vault=sealed())
    spool.commit([payload("old")], {"assemble": {"key": b"value"}})
    spool.close()
    with pytest.raises(ConfigError, match=r"give it back, and set agent\.spool\.encrypt: false"):
        opened(tmp_path / "s")
    spool = opened(tmp_path / "s", vault=Vault(AesSealer(KEY), sealing=False))
    spool.commit([payload("new")], {})
    assert waiting(spool) == [(1, b"old"), (2, b"new")]
    spool.close()
    spool = opened(tmp_path / "s")
    assert spool.checkpoints("assemble") == {"key": b"value"}


def test_without_the_key_a_start_stops_before_anything_counts_as_damaged(tmp_path):
    spool = opened(tmp_path / "s", vault=sealed())
    spool.commit([payload("old")], {})
    spool.close()
    with pytest.raises(ConfigError, match="segments in the spool are sealed"):
        opened(tmp_path / "s")
    assert waiting(opened(tmp_path / "s", vault=sealed())) == [(1, b"old")]


def test_another_key_is_told(tmp_path):
    spool = opened(tmp_path / "s", vault=sealed())
    spool.commit([payload("old")], {"assemble": {"key": b"value"}})
    spool.close()
    spool = opened(tmp_path / "s", vault=sealed(bytes(32)))
    with pytest.raises(ConfigError, match="got another"):
        spool.checkpoints("assemble")


def key_file(path, text: str, mode: int = 0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_file_holds_64_hex_digits(tmp_path):
    assert read_key(key_file(tmp_path / "key", KEY.hex().upper() + "\n")) == KEY


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "zz" * 32, "0x" + "00" * 31, "é" * 64])
def test_anything_else_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match="expected 64 hex digits"):
        read_key(key_file(tmp_path / "key", text))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    path = key_file(tmp_path / "key", KEY.hex(), mode)
    with pytest.raises(ConfigError, match=f"got mode {mode:04o}; run: chmod 600"):
        read_key(path)
    assert mode == stat.S_IMODE(path.stat().st_mode)


def test_a_missing_key_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="openssl rand -hex 32"):
        Vault.of_key_file(str(tmp_path / "none"))


def test_no_key_file_means_no_sealing():
    assert not Vault.of_key_file("").sealing
