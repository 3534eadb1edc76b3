"""Predict: score a file, row by row, in its order, and keep no record of it."""

from __future__ import annotations

from pathlib import Path

from gonogo.workflow.batch import Scored, score


def predict(folder: Path | str, rows: Path, out: Path, *, candidate: str = "") -> Scored:
    """The keys of the rows and their predictions, as Parquet, in the order of the rows.

    rows:      Parquet, CSV, JSON lines or Arrow with the columns of the contract's row source (after its sql), of any size.
    candidate: a digest or unique prefix; without one the champion, else the candidate of the newest verdict if that is GO.
    Its inputs are those that it was trained on, whatever the contract says since; where the sources lie, today's contract says.
    Raises SourceEmpty for a file without rows, ColumnMissing for a column that is not there, and writes nothing then;
    UsageError where no candidate may answer: a model without a GO, or one that was brought back, is asked for by name or not at all.
    """
    return score(folder, rows, out, candidate=candidate)
