"""Compile the loops that the tests need, and keep them: two workers that need one at the same moment would each compile it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import gonogo
from gonogo.gates.judge import Judge
from tests.gates.rollout_worlds import CANARY, EPOCH, answers, plan
from tests.workflow import worlds


def main() -> None:
    with TemporaryDirectory() as folder:
        gonogo.run(worlds.build(Path(folder) / "parcels"))
    Judge(plan(), CANARY, (), epoch=EPOCH).take(answers(1))


if __name__ == "__main__":
    main()
