"""Is there something in train from which one should not learn?

Each check looks at one input at a time and says what it saw, with the numbers. A leak is told from a good input by how much it knows:
one column that ranks 95 of 100 pairs rightly is far more often a trace of the outcome than a discovery.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.outcome import read_both_classes, read_unit
from gonogo.families.tabular.predictive import is_copy, null_rates, strongest_auc, systematic_rows
from gonogo.families.tabular.table import Codec, fit_codec
from gonogo.types.snapshot import Finding, FindingStatus, Input, Missing

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, IntArray
    from gonogo.types.protocols import Examples

TOO_WELL = 0.95  # AUC of one input
BEYOND_CHANCE = 4.0  # standard errors of an input that knows nothing; 1 in 30,000 by chance
NULL_GAP = 0.6  # difference of null rates between the classes: an AUC of 0.8 of "is it null"
NULL_SHARE = 0.05  # a null rate from which on "never null in one class" says something …
NULL_UNITS = 10  # … if so many units hold nulls and each class has NULL_ROWS rows
NULL_ROWS = 200
FEW = 50  # rows of the rarer class; below it little can be learnt
TOO_FEW = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Train:
    """The train table as the checks see it."""

    inputs: tuple[Input, ...]
    codec: Codec
    matrix: Array  # (n, inputs)
    y: Array
    unit: IntArray
    sample: IntArray  # rows on which what is slow is computed

    def columns(self) -> Iterator[tuple[int, Input, Array]]:
        """Place, input and values."""
        return ((i, one, self.matrix[:, i]) for i, one in enumerate(self.inputs))


def check(train: Examples, inputs: tuple[Input, ...]) -> tuple[Finding, ...]:
    """What each check found; one CLEAN finding for a check that found nothing.

    Raises OutcomeRefused where the outcome is not 0 or 1 everywhere or holds one class only, DataError for infinite inputs.
    """
    y = read_both_classes(train.outcomes)
    codec = fit_codec(train.inputs, inputs)
    seen = Train(
        inputs=inputs, codec=codec, matrix=codec.encode(train.inputs), y=y, unit=read_unit(train.outcomes), sample=systematic_rows(y)
    )
    checks = {
        "target_copy": ("GNG-K102", _copies(seen)),
        "predicts_too_well": ("GNG-K101", _too_good(seen)),
        "missingness_tells": ("GNG-K103", _telling_nulls(seen)),
        "refused_nulls": ("GNG-K104", _refused_nulls(seen)),
        "constant_input": ("GNG-K105", _constants(seen)),
        "rare_class": ("GNG-K106", _rare_class(seen)),
    }
    findings: list[Finding] = []
    for name, (code, found) in checks.items():
        findings.extend(found or [_clean(code, name, seen)])
    return tuple(findings)


def _copies(seen: Train) -> list[Finding]:
    return [
        _finding(
            "GNG-K102",
            "target_copy",
            one,
            f"'{one.name}' is the outcome {word}: it says the same in {agreement:.2%} of the rows of each class.",
            expected="an input that was known before the outcome",
            evidence={"agreement": round(agreement, 6), "reversed": word != "itself"},
        )
        for _, one, x in seen.columns()
        for agreement, word in [is_copy(x, seen.y)]
        if word
    ]


def _too_good(seen: Train) -> list[Finding]:
    y = seen.y[seen.sample]
    positives = int(y.sum())
    by_chance = float(np.sqrt((len(y) + 1) / (12 * positives * (len(y) - positives))))
    findings = []
    for place, one, x in seen.columns():
        if is_copy(x, seen.y)[1]:
            continue  # said already, and better
        auc = strongest_auc(x[seen.sample], y, one.kind, n_categories=len(seen.codec.columns[place].categories))
        if auc >= TOO_WELL and auc - 0.5 >= BEYOND_CHANCE * by_chance:
            findings.append(
                _finding(
                    "GNG-K101",
                    "predicts_too_well",
                    one,
                    f"'{one.name}' alone ranks {auc:.1%} of pairs rightly (AUC {auc:.3f} over {len(y):,} rows, {positives:,} positive). "
                    "An input that knows so much usually knows the outcome.",
                    expected=f"AUC below {TOO_WELL}",
                    evidence={"auc": round(auc, 6), "n_rows": len(y), "n_positives": positives},
                )
            )
    return findings


def _telling_nulls(seen: Train) -> list[Finding]:
    findings = []
    for _, one, x in seen.columns():
        null = np.isnan(x)
        if not null.any():
            continue
        positive, negative = null_rates(null, seen.y)
        if abs(positive - negative) >= NULL_GAP or _only_one_class_is_null(null, seen, positive, negative):
            findings.append(
                _finding(
                    "GNG-K103",
                    "missingness_tells",
                    one,
                    f"'{one.name}' is null in {positive:.1%} of the rows that came true and in {negative:.1%} of the others: "
                    "whether it is there gives the outcome away.",
                    expected=f"null rates of the classes less than {NULL_GAP:.0%} apart, and nulls in both classes",
                    evidence={"null_rate_positive": round(positive, 6), "null_rate_negative": round(negative, 6)},
                )
            )
    return findings


def _only_one_class_is_null(null: np.ndarray[tuple[int], np.dtype[np.bool_]], seen: Train, positive: float, negative: float) -> bool:
    """Null (or there) in one class only, too often and on too many units for chance or for one bad day."""
    positives = int(seen.y.sum())
    if min(positives, len(seen.y) - positives) < NULL_ROWS:
        return False
    for rows, (one, other) in ((null, (positive, negative)), (~null, (1 - positive, 1 - negative))):
        if min(one, other) == 0 and max(one, other) >= NULL_SHARE and len(np.unique(seen.unit[rows])) >= NULL_UNITS:
            return True
    return False


def _refused_nulls(seen: Train) -> list[Finding]:
    findings = []
    for _, one, x in seen.columns():
        n = int(np.isnan(x).sum())
        if one.missing is Missing.REFUSE and n:
            findings.append(
                _finding(
                    "GNG-K104",
                    "refused_nulls",
                    one,
                    f"'{one.name}' is null in {n:,} of {len(x):,} train rows ({n / len(x):.2%}), and the contract refuses that.",
                    expected='no null (missing = "refuse")',
                    evidence={"nulls": n, "n_rows": len(x), "first_row": int(np.argmax(np.isnan(x)))},
                    next_step='mend the source, or state missing = "native" or "indicate" for the feature',
                )
            )
    return findings


def _constants(seen: Train) -> list[Finding]:
    return [
        _finding(
            "GNG-K105",
            "constant_input",
            one,
            f"'{one.name}' is {'always null' if np.isnan(x[0]) else 'the same'} in all {len(x):,} train rows: it says nothing.",
            expected="at least two values",
            status=FindingStatus.NOTE,
            evidence={"n_rows": len(x), "always_null": bool(np.isnan(x[0]))},
            next_step="drop the feature, or find out why its source is empty",
        )
        for _, one, x in seen.columns()
        if np.isnan(x).all() or (x == x[0]).all()
    ]


def _rare_class(seen: Train) -> list[Finding]:
    positives = int(seen.y.sum())
    rarer = min(positives, len(seen.y) - positives)
    if rarer >= FEW:
        return []
    return [
        Finding(
            code="GNG-K106",
            check="rare_class",
            status=FindingStatus.OPEN if rarer < TOO_FEW else FindingStatus.NOTE,
            where="train.y",
            sentence=f"Only {rarer} of {len(seen.y):,} train rows are of the rarer class: little can be learnt, and less be shown.",
            expected=f"at least {FEW} rows of each class",
            next="take a longer time, or a question whose answer is less rare",
            evidence={"n_rows": len(seen.y), "n_positives": positives},
        )
    ]


def _finding(
    code: str,
    name: str,
    one: Input,
    sentence: str,
    *,
    expected: str,
    evidence: dict[str, object],
    status: FindingStatus = FindingStatus.OPEN,
    next_step: str = "",
) -> Finding:
    step = next_step or f"take feature '{one.feature}' out, or show when its value was known and waive the finding with a reason"
    return Finding(
        code=code, check=name, status=status, where=f"train.{one.name}", sentence=sentence, expected=expected, next=step, evidence=evidence
    )


def _clean(code: str, name: str, seen: Train) -> Finding:
    return Finding(
        code=code,
        check=name,
        status=FindingStatus.CLEAN,
        where="train",
        sentence=f"{len(seen.inputs)} inputs over {len(seen.y):,} train rows: nothing found.",
        evidence={"n_inputs": len(seen.inputs), "n_rows": len(seen.y)},
    )
