"""What do the sources hold now, by content?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.data.connection import open_connection
from gonogo.data.sources import read_raws
from gonogo.types.contract import Contract
from gonogo.types.record import Digest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gonogo.data.readers import Raw


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """Sources as they were read, before any SQL shapes them."""

    connection: DuckDBPyConnection
    raws: Mapping[str, Raw]  # by what `read` says
    digests: Mapping[str, Digest]  # by source


def open_sources(contract: Contract, *, folder: Path) -> Opened:
    """The sources of a contract, read and digested; where nothing changed, that is all a run has to do."""
    connection = open_connection(threads=contract.threads)
    raws = read_raws(contract, folder=folder, connection=connection)
    return Opened(connection=connection, raws=raws, digests={name: raws[source.read].digest for name, source in contract.sources.items()})
