"""Which keys open a server, and what stands in their file?"""

from __future__ import annotations

import json
import stat
import threading

import pytest

from gonogo.serving.keys import KeyRing, add_key, list_keys, revoke_key
from gonogo.types.errors import NothingThere, StorageFailed, UsageError

LATER = 10**10  # ns: past the half second between two looks at the file


@pytest.fixture
def file(tmp_path):
    return tmp_path / "serving" / "keys.json"


def test_a_key_opens_and_is_nowhere_written_down(file):
    secret = add_key(file, "shop", ["predict"])
    found = KeyRing(file).find(secret.encode(), 0)
    assert (found.name, found.scopes) == ("shop", ("predict",))
    assert secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s + "x", lambda s: s.swapcase(), lambda s: "", lambda s: s[:12], lambda s: "é" * 50]
)
def test_anything_else_than_the_key_opens_nothing(file, change):
    secret = add_key(file, "shop", ["predict"])
    assert KeyRing(file).find(change(secret).encode(), 0) is None


def test_two_keys_are_different_and_both_open(file):
    first, second = add_key(file, "a", ["predict"]), add_key(file, "b", ["release", "outcomes"])
    assert first != second
    assert KeyRing(file).find(second.encode(), 0).scopes == ("outcomes", "release")
    assert [key.name for key in list_keys(file)] == ["a", "b"]


def test_a_name_that_is_taken_or_none_and_an_unknown_scope_are_refused(file):
    add_key(file, "a", ["predict"])
    for name, scopes in (("a", ["predict"]), ("", ["predict"]), ("a b", ["predict"]), ("b" * 65, ["predict"]), ("b", []), ("b", ["all"])):
        with pytest.raises(UsageError):
            add_key(file, name, scopes)
    assert len(list_keys(file)) == 1


def test_a_key_that_is_added_while_the_server_runs_opens_and_one_that_is_revoked_does_not(file):
    ring = KeyRing(file)
    assert not ring.asks(0)
    secret = add_key(file, "a", ["predict"])
    assert ring.asks(LATER)
    assert ring.find(secret.encode(), LATER) is not None
    revoke_key(file, "a")
    assert ring.find(secret.encode(), 2 * LATER) is None
    assert ring.asks(2 * LATER), "without any key left it opens to nobody, not to everybody"
    with pytest.raises(NothingThere):
        revoke_key(file, "a")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b'{"format": 2, "keys": []}',
        b'{"format": 1, "keys": [{}]}',
        b"[]",
        b'{"format": 1, "keys": [{"id": "1", "name": "x", "sha256": "no", "scopes": [], "made_at": ""}]}',
    ],
)
def test_a_file_that_cannot_be_read_opens_to_nobody(file, damage):
    secret = add_key(file, "a", ["predict"])
    ring = KeyRing(file)
    assert ring.find(secret.encode(), 0) is not None
    file.write_bytes(damage)
    assert ring.find(secret.encode(), LATER) is None
    assert ring.asks(LATER)
    assert ring.problem


def test_a_file_that_vanishes_does_not_open_the_door(file):
    secret = add_key(file, "a", ["predict"])
    ring = KeyRing(file)
    assert ring.asks(0)
    file.unlink()
    assert ring.asks(LATER)
    assert ring.find(secret.encode(), LATER) is None


def test_a_damaged_file_is_told_to_whoever_lists_or_adds(file):
    add_key(file, "a", ["predict"])
    file.write_text("{")
    with pytest.raises(StorageFailed):
        list_keys(file)
    with pytest.raises(StorageFailed):
        add_key(file, "b", ["predict"])


def test_keys_that_are_added_at_once_are_all_kept(file):
    threads = [threading.Thread(target=add_key, args=(file, f"k{i}", ["predict"])) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.name for key in list_keys(file)) == [f"k{i}" for i in range(8)]
    assert set(json.loads(file.read_text())["keys"][0]) == {"id", "name", "sha256", "scopes", "made_at"}
