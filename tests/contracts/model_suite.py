"""What every fitted model promises, whatever its family. A plugin's tests subclass it and give a model with inputs that it reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pyarrow as pa
import pytest

from gonogo.types.errors import ArtifactRefused, ColumnMissing
from gonogo.types.protocols import Family, Model


class ModelSuite(ABC):
    """Subclasses are collected by pytest under a name that starts with Test."""

    family: Family
    n_single = 60  # rows that are answered one at a time

    @abstractmethod
    @pytest.fixture
    def model(self) -> Model:
        """A fitted model."""

    @abstractmethod
    @pytest.fixture
    def inputs(self) -> pa.Table:
        """Rows that it can answer, with nulls where its contract allows them."""

    def test_predict_gives_one_row_for_each_row(self, model: Model, inputs: pa.Table) -> None:
        assert model.predict(inputs).num_rows == inputs.num_rows

    def test_predict_changes_nothing(self, model: Model, inputs: pa.Table) -> None:
        first = model.predict(inputs)
        model.predict(inputs.slice(0, 3))
        assert model.predict(inputs).equals(first)

    def test_predict_keeps_the_order_of_rows(self, model: Model, inputs: pa.Table) -> None:
        turned = pa.array(range(inputs.num_rows - 1, -1, -1))
        assert model.predict(inputs.take(turned)).equals(model.predict(inputs).take(turned))

    def test_one_row_at_a_time_gives_the_bits_of_the_batch(self, model: Model, inputs: pa.Table) -> None:
        few = inputs.slice(0, self.n_single)
        single = pa.concat_tables([model.predict(few.slice(i, 1)) for i in range(few.num_rows)])
        assert single.combine_chunks().equals(model.predict(few).combine_chunks())

    def test_no_rows_give_no_rows(self, model: Model, inputs: pa.Table) -> None:
        assert model.predict(inputs.slice(0, 0)).num_rows == 0

    def test_further_columns_and_another_order_of_columns_change_nothing(self, model: Model, inputs: pa.Table) -> None:
        wider = inputs.select(inputs.column_names[::-1]).append_column("never_seen", pa.array(range(inputs.num_rows)))
        assert model.predict(wider).equals(model.predict(inputs))

    def test_a_missing_column_is_named(self, model: Model, inputs: pa.Table) -> None:
        if not model.effects():
            pytest.skip("it reads no column")
        name = inputs.column_names[0]
        with pytest.raises(ColumnMissing, match=name):
            model.predict(inputs.drop_columns([name]))

    def test_what_was_saved_answers_the_same(self, model: Model, inputs: pa.Table, tmp_path: Path) -> None:
        model.save(tmp_path)
        loaded = self.family.load(tmp_path)
        assert loaded.predict(inputs).equals(model.predict(inputs))
        assert loaded.effects() == model.effects()

    def test_the_same_model_is_saved_to_the_same_bytes(self, model: Model, inputs: pa.Table, tmp_path: Path) -> None:
        model.save(tmp_path / "first")
        model.predict(inputs)
        self.family.load(tmp_path / "first").save(tmp_path / "second")
        assert read_folder(tmp_path / "second") == read_folder(tmp_path / "first")

    def test_a_file_that_is_cut_short_is_refused(self, model: Model, tmp_path: Path) -> None:
        model.save(tmp_path)
        for file in sorted(tmp_path.iterdir()):
            whole = file.read_bytes()
            file.write_bytes(whole[: len(whole) // 2])
            with pytest.raises(ArtifactRefused):
                self.family.load(tmp_path)
            file.write_bytes(whole)


def read_folder(folder: Path) -> dict[str, bytes]:
    """File name → bytes."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
