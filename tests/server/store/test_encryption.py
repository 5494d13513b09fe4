from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kelp.base.errors import ConfigError, KelpError
from kelp.base.settings import Settings
from kelp.base.settings import Store as StoreSettings
from kelp.server.store.opening import encryption_key, open_store
from tests.server.samples import WEB, group, part
from tests.server.store.reading import column, scalar

KEY = "00112233445566778899aabbccddeeff"


def settings(tmp_path: Path, key: str = KEY) -> Settings:
    file = tmp_path / "key"
    file.write_text(key + "\n")
    data = tmp_path / "data"
    return Settings(data_dir=str(data), store=StoreSettings(encryption_key_file=str(file)))


def everything_below(path: Path) -> bytes:
    return b"".join(str(f).encode() + f.read_bytes() for f in path.rglob("*") if f.is_file())


def test_no_body_no_label_and_no_key_lies_in_the_open(tmp_path: Path) -> None:
    options = settings(tmp_path)
    store = open_store(options)
    try:
        for i in range(30):
            bodies = [f"SECRET BODY {i} {n}".encode() for n in range(300)]
            store.insert(group(f"g{i}", part(bodies, {**WEB, "pod": "SECRET-POD"})))
        store.engine.command("OPTIMIZE TABLE records FINAL")  # type: ignore[attr-defined]
        column(store.engine, "SELECT body FROM records ORDER BY cityHash64(body) LIMIT 5")
        found = everything_below(tmp_path / "data")
        assert scalar(store.engine, "SELECT count() FROM records") == 9000
    finally:
        store.close()
    found += everything_below(tmp_path / "data")
    for secret in (b"SECRET", KEY.encode(), bytes.fromhex(KEY)):
        assert secret not in found


def test_a_plain_store_would_show_them(tmp_path: Path) -> None:
    """The test above can fail."""
    store = open_store(Settings(data_dir=str(tmp_path)))
    store.insert(group("g", part([b"SECRET BODY"])))
    store.close()
    assert b"SECRET BODY" in everything_below(tmp_path)


def test_it_opens_again_with_its_key(tmp_path: Path) -> None:
    for _ in range(2):
        store = open_store(settings(tmp_path))
        store.insert(group("g", part([b"x"])))
        assert scalar(store.engine, "SELECT count() FROM records") == 1
        store.close()


def test_another_key_is_refused(tmp_path: Path) -> None:
    open_store(settings(tmp_path)).close()
    with pytest.raises(KelpError, match="needs the key that it was encrypted with; got another"):
        open_store(settings(tmp_path, "f" * 32))


def test_no_key_is_refused(tmp_path: Path) -> None:
    open_store(settings(tmp_path)).close()
    with pytest.raises(KelpError, match="needs the key file that it was encrypted with; got none"):
        open_store(Settings(data_dir=str(tmp_path / "data")))


def test_a_plain_store_cannot_become_encrypted(tmp_path: Path) -> None:
    plain = Settings(data_dir=str(tmp_path / "data"))
    open_store(plain).close()
    with pytest.raises(KelpError, match="needs no key file, for it is not encrypted"):
        open_store(settings(tmp_path))
    open_store(plain).close()


@pytest.mark.parametrize("key", ["", "xyz", "0" * 31, "0" * 64])
def test_a_key_file_holds_32_hex_digits(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match="expected 32 hex digits"):
        open_store(settings(tmp_path, key))


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(ConfigError, match="nowhere"):
        encryption_key(Settings(store=StoreSettings(encryption_key_file=str(missing))))


def test_the_key_is_not_in_the_process_arguments(tmp_path: Path) -> None:
    store = open_store(settings(tmp_path))
    try:
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        assert KEY not in shown.stdout
    finally:
        store.close()
