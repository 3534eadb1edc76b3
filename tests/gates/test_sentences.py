import pytest

from gonogo.gates.sentences import figure_sentence, limit_words, number
from gonogo.types.contract import Gate
from gonogo.types.evidence import Estimate, Interval, Of
from gonogo.types.verdict import Status


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0031415, "0.003142"),
        (-0.02, "-0.02"),
        (52341.4, "52,341"),
        (1200.0, "1,200"),
        (0.0, "0"),
        (1e-9, "1e-09"),
        (-0.0, "0"),
        (9999.6, "10,000"),
        (-1234.56, "-1,235"),
    ],
)
def test_numbers_have_four_digits_and_marked_thousands(value, said):
    assert number(value) == said


def test_a_limit_on_both_sides_is_said_in_one_breath():
    assert limit_words(Gate(name="g", metric="m", at_least=0.2, at_most=3), "ms") == "At least 0.2 ms is asked and at most 3 ms is allowed"


def test_a_worse_difference_carries_its_sign_and_the_reference_its_name():
    worse = Estimate(
        metric="log_loss",
        of=Of.DIFFERENCE,
        value=0.05,
        interval=Interval(low=0.02, high=0.08, method=""),
        n_units=1234,
        n_rows=9999,
        measured_in="nats",
        better="lower",
    )
    gate = Gate(name="g", metric="log_loss", against="champion", at_most=0.01)
    assert figure_sentence(gate, worse, worse.interval, Status.FAIL, "baseline") == (
        "Log loss, challenger minus baseline, is +0.05 nats (95% interval +0.02 to +0.08; 1,234 units). "
        "At most 0.01 nats is allowed: the whole interval lies beyond it, so harm is shown."
    )


def test_an_end_that_misses_its_limit_is_never_written_like_it():
    short = Estimate(
        metric="roc_auc",
        of=Of.CHALLENGER,
        value=0.72,
        interval=Interval(low=0.69999, high=0.74, method=""),
        n_units=61,
        n_rows=9999,
        measured_in="",
        better="higher",
    )
    gate = Gate(name="g", metric="roc_auc", at_least=0.7)
    said = figure_sentence(gate, short, short.interval, Status.INCONCLUSIVE, "baseline")
    assert "95% interval 0.69999 to 0.74" in said
    assert "At least 0.7 is asked" in said


def test_what_is_read_off_says_so_instead_of_an_interval():
    size = Estimate(
        metric="artifact_mb",
        of=Of.CHALLENGER,
        value=2.5,
        interval=Interval(low=2.5, high=2.5, level=1.0, method="read off, not sampled"),
        n_units=1,
        n_rows=1,
        measured_in="MB",
        better="lower",
    )
    said = figure_sentence(Gate(name="g", metric="artifact_mb", at_most=10), size, size.interval, Status.PASS, "champion")
    assert said.startswith("Artifact mb is 2.5 MB (read off, not sampled; 1 unit). At most 10 MB is allowed:")
