import pytest

from gonogo.types.aggregate import Aggregate, parse_aggregate


@pytest.mark.parametrize(
    ("text", "function", "column", "slug"),
    [
        ("count", "count", "", "count"),
        ("count(*)", "count", "", "count"),
        ("age", "age", "", "age"),
        ("sum(x)", "sum", "x", "sum_x"),
        (" Mean( dep_delay ) ", "mean", "dep_delay", "mean_dep_delay"),
        ("share(dep_delay >= 15)", "share", "dep_delay >= 15", "share_dep_delay_15"),
        ("last(coalesce(a, (b)))", "last", "coalesce(a, (b))", "last_coalesce_a_b"),
        ("max(case when c = ')' then 1 end)", "max", "case when c = ')' then 1 end", "max_case_when_c_then_1_end"),
        ("distinct(größe)", "distinct", "größe", "distinct_größe"),
    ],
)
def test_an_aggregate_names_a_function_and_what_it_is_of(text, function, column, slug):
    parsed = parse_aggregate(text)
    assert parsed == Aggregate(function=function, column=column)
    assert parsed.slug == slug


@pytest.mark.parametrize(
    "text", ["", "median(x)", "sum", "sum()", "sum(*)", "sum(x", "sum x", "sum(a) + (b)", "count(x)", "age(x)", "last('x)"]
)
def test_what_is_no_aggregate_is_refused_with_the_grammar(text):
    with pytest.raises(ValueError, match=r"aggregate|column"):
        parse_aggregate(text)
