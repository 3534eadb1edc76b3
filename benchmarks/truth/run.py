"""Simulates every claim and writes what was found to docs/evidence/truth.json, of which the page and its plots are made.

    .venv/bin/python -m benchmarks.truth.run --worlds 2000 --areas probabilities comparison --processes 2

An area is a module `benchmarks.truth.AREA` with a tuple CLAIMS. What was found before for other areas stays in the file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks.truth.claims import Claim, Found

FOUND = Path(__file__).parents[2] / "docs" / "evidence" / "truth.json"
NOT_AREAS = {"claims", "run", "page"}


def areas() -> tuple[str, ...]:
    names = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return tuple(sorted(set(names) - NOT_AREAS))


def claims_of(area: str) -> tuple[Claim, ...]:
    return importlib.import_module(f"benchmarks.truth.{area}").CLAIMS


def outcome(area: str, number: int, seed: int) -> bool | None:
    said = claims_of(area)[number].world(seed)
    return None if said is None else bool(said)


def simulate(area: str, number: int, *, worlds: int, pool: ProcessPoolExecutor | None = None, first_seed: int = 1) -> Found:
    """One claim over that many worlds, seeds first_seed, first_seed + 1, …"""
    claim = claims_of(area)[number]
    worlds = min(worlds, claim.worlds or worlds)
    seeds = range(first_seed, first_seed + worlds)
    if pool is None:
        said = [outcome(area, number, seed) for seed in seeds]
    else:
        said = list(pool.map(outcome, [area] * worlds, [number] * worlds, seeds, chunksize=max(1, worlds // 40)))
    known = [one for one in said if one is not None]
    return Found(
        area=area,
        name=claim.name,
        method=claim.method,
        kind=claim.kind,
        band=claim.band,
        worlds=worlds,
        refused=worlds - len(known),
        share=sum(known) / len(known) if known else None,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=2000)
    parser.add_argument("--areas", nargs="*", default=areas())
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dry", action="store_true", help="print only, leave the file as it is")
    asked = parser.parse_args()
    broken = 0
    with ProcessPoolExecutor(asked.processes) as pool:
        for area in asked.areas:
            found = []
            for number, claim in enumerate(claims_of(area)):
                began = time.perf_counter()
                one = simulate(area, number, worlds=asked.worlds, pool=pool)
                broken += not one.holds or one.refused > claim.refusals_at_most * one.worlds
                share = "  none" if one.share is None else f"{one.share:6.3f}"
                said = f"{'ok    ' if one.holds else 'BROKEN'} {share} of {one.band[0]:.3f}-{one.band[1]:.3f}"
                refused, took = f"refused {one.refused / one.worlds:5.1%}", f"{time.perf_counter() - began:.0f} s"
                print(f"{said}  {refused}  {area}: {one.name}, {one.method} ({one.kind}, {one.worlds:,} worlds, {took})", flush=True)
                found.append(one)
            if not asked.dry:
                write(area, found)
    return 1 if broken else 0


def write(area: str, found: list[Found]) -> None:
    before = json.loads(FOUND.read_text()) if FOUND.exists() else []
    kept = [one for one in before if one["area"] != area]
    FOUND.parent.mkdir(parents=True, exist_ok=True)
    rows = sorted(kept + [asdict(one) for one in found], key=lambda one: one["area"])
    FOUND.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
