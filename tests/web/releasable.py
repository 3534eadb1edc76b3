"""The small world of parcels with a release's guardrails, run to its GO and packaged."""

from __future__ import annotations

from pathlib import Path

from tests.web.served import TRAFFIC


def make(folder: Path, traffic: str = TRAFFIC) -> Path:
    """The folder."""
    import gonogo
    from gonogo.workflow.package import package
    from gonogo.workflow.workspace import open_workspace
    from tests.workflow import worlds

    worlds.build(folder, more=traffic)
    run = gonogo.run(folder)
    assert run.verdict.go
    workspace = open_workspace(folder)
    for who in ("champion", "candidate"):
        package(workspace, run.digests[who])
    return folder
