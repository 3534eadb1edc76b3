"""Is there a contract at this path, and what does it say? The door between a file and `types/toml.py`."""

from __future__ import annotations

import codecs
from pathlib import Path

from gonogo.types.contract import Contract
from gonogo.types.errors import ContractRefused, Problem, StorageFailed, UsageError
from gonogo.types.toml import read_contract

CONTRACT_NAME = "contract.toml"
LARGEST_BYTES = 16 * 2**20  # five thousand features written out are a megabyte; more is another file by mistake
_WIDE = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_contract_file(path: Path) -> Contract:
    """The contract in a file, or in the contract.toml of a folder. A byte order mark of UTF-8 is allowed.

    Raises UsageError where there is no such file, StorageFailed where it cannot be read, ContractRefused where it is not UTF-8, is no
    TOML or is no contract.
    """
    file = path / CONTRACT_NAME if path.is_dir() else path
    return read_contract(_text(_bytes(file), where=str(file)), where=str(file))


def _bytes(file: Path) -> bytes:
    try:
        data = file.read_bytes() if file.stat().st_size <= LARGEST_BYTES else None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"there is no contract at {file}.",
            found="nothing" if file.parent.is_dir() else f"no folder {file.parent}",
            expected=f"a folder with {CONTRACT_NAME}, or that file",
            where=str(file),
            next="gonogo init FOLDER --data FILE writes a first one",
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{file} is a folder.", found="a folder", expected="a file of TOML", where=str(file)) from None
    except OSError as error:
        raise StorageFailed(
            f"{file} cannot be read.", found=error.strerror or str(error), expected="a file that you may read", where=str(file)
        ) from error
    except ValueError as error:  # a NUL inside the path
        raise UsageError(f"{str(file)!r} is no path.", found=str(error), expected="the path of a folder or file") from error
    if data is None:
        raise UsageError(
            f"{file} is larger than any contract.",
            found=f"more than {LARGEST_BYTES // 2**20} MB",
            expected="a file of TOML that a person wrote",
            where=str(file),
        )
    return data


def _text(data: bytes, *, where: str) -> str:
    if data.startswith(_WIDE):
        raise _not_utf8(where, 1, "UTF-16 or UTF-32, by its first bytes")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        # the offset counts from behind the mark, as the decoded bytes do
        before = data.removeprefix(codecs.BOM_UTF8)[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise _not_utf8(where, line, f"byte 0x{error.object[error.start]:02x} at place {column} of the line") from None


def _not_utf8(where: str, line: int, found: str) -> ContractRefused:
    problem = Problem(
        where=f"{where}:{line}",
        key="",
        line=line,
        message="The file is not UTF-8.",
        found=found,
        expected="UTF-8, as TOML asks for",
        next="save it as UTF-8",
    )
    return ContractRefused((problem,))
