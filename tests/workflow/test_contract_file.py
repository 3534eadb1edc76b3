import os
from pathlib import Path

import pytest

from gonogo.types.errors import ContractRefused, StorageFailed, UsageError
from gonogo.types.record import digest
from gonogo.workflow.contract import read_contract_file

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights" / "contract.toml"


def test_a_contract_is_found_by_its_file_or_by_its_folder():
    assert read_contract_file(FLIGHTS) == read_contract_file(FLIGHTS.parent)


def test_a_byte_order_mark_changes_nothing(tmp_path):
    file = tmp_path / "contract.toml"
    file.write_bytes(b"\xef\xbb\xbf" + FLIGHTS.read_bytes())
    assert digest(read_contract_file(file)) == digest(read_contract_file(FLIGHTS))


@pytest.mark.parametrize("path", ["nothing.toml", "no/such/folder", "file/contract.toml", ""])
def test_a_contract_that_is_not_there_is_a_usage_error_with_the_way_to_a_first_one(tmp_path, path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="no contract") as caught:
        read_contract_file(tmp_path / path)
    assert "gonogo init" in caught.value.next


def test_a_folder_called_contract_toml_is_a_usage_error(tmp_path):
    (tmp_path / "contract.toml").mkdir()
    with pytest.raises(UsageError):
        read_contract_file(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_contract_is_a_failure_of_the_surroundings(tmp_path):
    file = tmp_path / "contract.toml"
    file.write_text("gonogo = 1")
    file.chmod(0)
    with pytest.raises(StorageFailed):
        read_contract_file(file)


def test_a_path_that_loops_is_a_failure_of_the_surroundings(tmp_path):
    (tmp_path / "contract.toml").symlink_to(tmp_path / "contract.toml")
    with pytest.raises(StorageFailed):
        read_contract_file(tmp_path / "contract.toml")


def test_a_path_with_a_nul_is_a_usage_error():
    with pytest.raises(UsageError):
        read_contract_file(Path("a\0b"))


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    file = tmp_path / "contract.toml"
    file.write_bytes(b'gonogo = 1\nname = "\xe9t\xe9"\n')
    with pytest.raises(ContractRefused) as caught:
        read_contract_file(file)
    (problem,) = caught.value.problems
    assert (problem.line, problem.found) == (2, "byte 0xe9 at place 9 of the line")


def test_utf16_is_refused_by_its_first_bytes(tmp_path):
    file = tmp_path / "contract.toml"
    file.write_text("gonogo = 1", encoding="utf-16")
    with pytest.raises(ContractRefused, match="UTF-16"):
        read_contract_file(file)


def test_a_file_that_is_no_contract_by_its_size_is_not_read(tmp_path):
    file = tmp_path / "contract.toml"
    with file.open("wb") as sparse:
        sparse.truncate(2**30)
    with pytest.raises(UsageError, match="larger than any contract"):
        read_contract_file(file)


def test_the_place_of_a_problem_is_the_path_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("contract.toml").write_text("gonogo = 3")
    with pytest.raises(ContractRefused) as caught:
        read_contract_file(Path("contract.toml"))
    assert caught.value.problems[0].where == "contract.toml:1"
