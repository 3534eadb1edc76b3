"""What does a folder hold: its contract, its stored records and its ledger?"""

from __future__ import annotations

import dataclasses
import getpass
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gonogo.types.contract import Contract
from gonogo.types.errors import UsageError
from gonogo.types.record import Digest, digest, to_json

if TYPE_CHECKING:
    from gonogo.backends.files import FileBlobs
    from gonogo.ledger.ledger import Ledger
    from gonogo.ledger.records import Records

Progress: TypeAlias = Callable[[str, str], None]  # told (step, what it is doing) as work goes on

STATE = ".gonogo"  # beside contract.toml; everything gonogo writes lies in it


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """An opened folder."""

    folder: Path
    contract: Contract
    contract_digest: Digest
    blobs: FileBlobs
    records: Records
    ledger: Ledger
    progress: Progress

    @property
    def scratch(self) -> Path:
        """A place for intermediate files; anything in it may be deleted."""
        path = self.folder / STATE / "scratch"
        path.mkdir(parents=True, exist_ok=True)
        return path


def open_workspace(folder: Path | str, *, progress: Progress | None = None, by: str = "") -> Workspace:
    """The folder's contract, read and refused as a whole if any part is wrong, with its stores opened.

    by: who writes into the ledger; without it user@host.
    """
    from gonogo.workflow.contract import read_contract_file

    folder = Path(folder)
    contract = read_contract_file(folder / "contract.toml")
    blobs, records, ledger = open_stores(folder, by=by)
    return Workspace(
        folder=folder,
        contract=contract,
        contract_digest=digest(contract),
        blobs=blobs,
        records=records,
        ledger=ledger,
        progress=progress or (lambda step, doing: None),
    )


def open_stores(folder: Path | str, *, by: str = "") -> tuple[FileBlobs, Records, Ledger]:
    """The stores of a folder, made where they are not there yet."""
    from gonogo.backends.files import FileBlobs
    from gonogo.backends.sqlite import SqliteLog
    from gonogo.ledger.ledger import Ledger
    from gonogo.ledger.records import Records

    state = Path(folder) / STATE
    blobs = FileBlobs(state / "blobs")
    return blobs, Records(blobs), Ledger(SqliteLog(state / "ledger.sqlite"), by=by or who(), now=lambda: datetime.now(UTC))


def open_recorded(folder: Path | str) -> tuple[Records, Ledger]:
    """What a folder holds already, to be read only. Raises UsageError where nothing was ever recorded."""
    from gonogo.backends.files import FileBlobs
    from gonogo.backends.sqlite import SqliteLog
    from gonogo.ledger.ledger import Ledger
    from gonogo.ledger.records import Records

    path = Path(folder) / STATE / "ledger.sqlite"
    if not path.exists():
        raise UsageError("There is no ledger here: nothing was recorded yet.", where=str(path), next=f"gonogo run {folder}")
    log = SqliteLog(path, read_only=True)
    return Records(FileBlobs(path.parent / "blobs")), Ledger(log, by=who(), now=lambda: datetime.now(UTC))


def who() -> str:
    """Who acts, as the ledger names them: user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user in the system's table, as in some containers
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"


_DATA = ("gonogo", "unit", "as_of", "seed", "sources", "rows", "outcome", "features", "split", "family")
_TRAINING = (*_DATA, "learners", "select_by", "budget")


def data_part(contract: Contract) -> Digest:
    """The digest of what shapes the data: a changed gate leaves it alone."""
    return _part(contract, _DATA)


def training_part(contract: Contract) -> Digest:
    """The digest of what shapes the data and the candidate."""
    return _part(contract, _TRAINING)


def inputs_part(contract: Contract) -> Digest:
    """The digest of what a model is fed with: features, rows, and how sources are shaped; where they are read from is no part of it."""
    sources = {name: dataclasses.replace(source, read="") for name, source in contract.sources.items()}
    return digest({"features": contract.features, "rows": contract.rows, "sources": sources})


def _part(contract: Contract, names: tuple[str, ...]) -> Digest:
    whole: Any = to_json(contract)
    return digest({name: whole[name] for name in names} | {"slices": [column for slicing in contract.slices for column in slicing.columns]})
