"""Peer: Feast's DuckDB offline store. Latest `amount` before each label, Parquet in, Parquet out. Runs in benchmarks/.peers/feast.

python benchmarks/asof/feast_store.py FOLDER OUT
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

os.environ["FEAST_USAGE"] = "False"

import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.offline_stores.duckdb import DuckDBOfflineStoreConfig
from feast.repo_config import RegistryConfig
from feast.types import Float64


def main(folder: Path, out: Path) -> None:
    with tempfile.TemporaryDirectory() as repo:
        store = FeatureStore(
            config=RepoConfig(
                project="peer",
                provider="local",
                registry=RegistryConfig(path=f"{repo}/registry.db"),
                offline_store=DuckDBOfflineStoreConfig(type="duckdb"),
                online_store=None,
                entity_key_serialization_version=3,
            )
        )
        entity = Entity(name="entity", join_keys=["entity"], value_type=ValueType.INT64)
        source = FileSource(path=str(folder / "events.parquet"), timestamp_field="event_time", created_timestamp_column="known_at")
        view = FeatureView(
            name="events",
            entities=[entity],
            ttl=timedelta(days=3650),
            schema=[Field(name="amount", dtype=Float64)],
            source=source,
            online=False,
        )
        store.apply([entity, view])
        labels = pq.read_table(folder / "labels.parquet").rename_columns(["label_id", "entity", "event_timestamp"]).to_pandas()
        job = store.get_historical_features(entity_df=labels, features=["events:amount"])
        pq.write_table(job.to_arrow(), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
