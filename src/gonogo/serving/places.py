"""Where does each thing of a server lie, below its folder?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """Paths below FOLDER/.gonogo/serving. Nothing is made by naming it."""

    root: Path

    @classmethod
    def of(cls, folder: Path | str) -> Places:
        """The places of a folder with a contract.

        >>> Places.of("flights").route.as_posix()
        'flights/.gonogo/serving/route'
        """
        return cls(Path(folder) / ".gonogo" / "serving")

    @property
    def route(self) -> Path:
        """Who answers: `serving/route.py`."""
        return self.root / "route"

    @property
    def workers(self) -> Path:
        """A page for each worker: `serving/workerpage.py`."""
        return self.root / "workers"

    @property
    def log(self) -> Path:
        """The prediction log's open segments."""
        return self.root / "log"

    @property
    def archive(self) -> Path:
        """The prediction log's closed segments, as Parquet."""
        return self.root / "archive"

    @property
    def judge(self) -> Path:
        """The judge's log, a folder for each rollout."""
        return self.root / "judge"

    def judge_of(self, rollout: str) -> Path:
        """The judge's log of one rollout, by the digest of its plan."""
        return self.judge / rollout.removeprefix("sha256:")[:16]

    @property
    def models(self) -> Path:
        """Artifacts restored from blobs; anything in it may be deleted."""
        return self.root / "models"

    @property
    def jobs(self) -> Path:
        """Rows that are scored later."""
        return self.root / "jobs"

    @property
    def metrics(self) -> Path:
        """Each worker's counts."""
        return self.root / "metrics"

    @property
    def keys(self) -> Path:
        """Hashed API keys and their scopes."""
        return self.root / "keys.json"

    @property
    def oidc(self) -> Path:
        """Whose bearer tokens are believed: `serving/tokens.py`."""
        return self.root / "oidc.toml"

    @property
    def server_lock(self) -> Path:
        """Held by the one server of this folder."""
        return self.root / "server.lock"

    @property
    def controller_lock(self) -> Path:
        """Held by whoever may change the route."""
        return self.root / "controller.lock"

    @property
    def waiting(self) -> Path:
        """What the controller waits for, while it waits for more than evidence: `workflow/waiting.py`."""
        return self.root / "waiting.json"
