"""Other ways to the same numbers, written without the code under test: brute force, DuckDB and Polars; and the worlds they are tried on."""
