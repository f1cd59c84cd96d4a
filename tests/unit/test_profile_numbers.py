"""The numeric pieces of the profile against NumPy and pandas; no JVM."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from crisp_spark.results.profile import Power, SemanticType
from crisp_spark.understanding.associations import (
    associations,
    correlation_ratio,
    correlations,
    cramers_v,
    encode,
    ranks,
)
from crisp_spark.understanding.distributions import (
    BINS,
    bars,
    edges_of,
    histogram_of,
    numbers_of,
    texts_of,
)
from crisp_spark.understanding.power import (
    Target,
    bins_of,
    levels_of,
    measure_power,
    mutual_information,
    out_of_fold_means,
    roc_auc,
    suspects,
)
from crisp_spark.understanding.profile_columns import Family
from crisp_spark.understanding.semantic import semantic_type
from crisp_spark.understanding.text_shapes import count_shapes, form_of, masked, shape


@pytest.fixture
def rng():
    """Random numbers that do not depend on which tests ran before."""
    return np.random.default_rng(7)


def counted(values):
    found, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    return found, counts


def test_statistics_from_value_counts_equal_pandas_and_scipy(rng):
    values = np.round(rng.gamma(2.0, 10.0, 5000), 0)
    found = numbers_of(*counted(values))
    series = pd.Series(values)
    assert found.mean == pytest.approx(series.mean(), rel=1e-12)
    assert found.std == pytest.approx(series.std(), rel=1e-12)
    assert found.skewness == pytest.approx(stats.skew(values), rel=1e-10)
    assert found.kurtosis == pytest.approx(stats.kurtosis(values), rel=1e-10)
    assert found.sum == values.sum()
    for name, value in found.quantiles.items():
        assert value == np.quantile(values, float(name), method="inverted_cdf")
    low, high = (found.quantiles[q] for q in ("0.25", "0.75"))
    reach = 1.5 * (high - low)
    assert found.outside_fences == ((values < low - reach) | (values > high + reach)).sum()


def test_special_values_are_counted_and_left_out():
    values = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, 3.0])
    found = numbers_of(values, np.array([2, 3, 4, 5, 6, 7]))
    assert (found.nans, found.positive_infinities, found.negative_infinities) == (2, 3, 4)
    assert (found.negatives, found.zeros) == (9, 6)
    assert found.mean == pytest.approx((-5 + 21) / 18)


@pytest.mark.parametrize(("values", "std"), [([], None), ([5.0], None), ([5.0, 5.0], 0.0)])
def test_statistics_of_next_to_nothing(values, std):
    found = numbers_of(*counted(values))
    assert found.std == std
    assert found.skewness is None
    assert found.mean == (5.0 if values else None)


def test_histogram_holds_every_value_once(rng):
    values = np.round(rng.lognormal(3, 1.5, 20_000), 1)
    found = histogram_of(*counted(values))
    assert sum(one.rows for one in found) == len(values)
    assert found[0].low == values.min()
    assert found[-1].high == values.max()
    assert len(found) <= 32
    for one in found[:-1]:
        assert one.rows == ((values >= one.low) & (values < one.high)).sum()
    assert all(before.high == after.low for before, after in pairwise(found))


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300), st.booleans())
@example(0.0, 138.9 - 0.4, False).via("its thirtieth goes more than thirty times into it")
@example(0.0, 5e-324, False).via("a thirtieth of the smallest number is zero")
def test_edges_reach_from_end_to_end_in_no_more_bars_than_asked_for(low, span, whole):
    if whole:
        low, span = np.floor(low), np.floor(span)
    edges = edges_of(low, low + span, whole=whole)
    if not low + span > low:
        assert edges == []
        return
    assert edges[0] == low
    assert edges[-1] >= low + span
    assert len(edges) <= (42 if whole else BINS + 1)
    assert sorted(set(edges)) == edges


def test_histogram_of_small_whole_numbers_has_a_bar_for_each():
    found = histogram_of(*counted([1, 1, 2, 5]))
    assert [(one.low, one.rows) for one in found] == [(1, 2), (2, 1), (3, 0), (4, 0), (5, 1)]


def test_histogram_of_one_value_and_of_none():
    assert [(one.low, one.high, one.rows) for one in histogram_of(*counted([3.5]))] == [
        (3.5, 3.5, 1)
    ]
    assert histogram_of(*counted([])) == ()
    assert edges_of(0.0, float("inf"), whole=False) == []
    assert edges_of(-1.7e308, 1.7e308, whole=False) == []


def test_bars_reach_to_the_extremes():
    found = bars([0.0, 1.0, 2.0], [1, 2, 3, 4], -5.0, 9.0)
    assert [(one.low, one.high, one.rows) for one in found] == [
        (-5.0, 0.0, 1),
        (0.0, 1.0, 2),
        (1.0, 2.0, 3),
        (2.0, 9.0, 4),
    ]
    # The largest value belongs to the last bar where nothing lies beyond.
    assert bars([0.0, 1.0], [0, 2, 3], 0.0, 1.0)[-1].rows == 5


def test_text_statistics():
    found = texts_of(["", "  ", "Ab-9", " x", "žluť"], [1, 2, 3, 4, 5], 15)
    assert (found.min_length, found.max_length) == (0, 4)
    assert found.mean_length == pytest.approx((0 + 4 + 12 + 8 + 20) / 15)
    assert (found.blank, found.padded, found.non_ascii) == (3, 6, 5)
    assert found.patterns[0].value == "aaaa"


def test_ranks_and_correlations_equal_pandas_also_with_gaps(rng):
    frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    frame["b"] += 2 * frame["a"]
    frame["c"] = (frame["a"] > 0) * 1.0
    frame["big"] = frame["a"] * 1e12 + 1e15
    frame["flat"] = 3.0
    frame.loc[::7, "b"] = np.nan
    frame.loc[::5, "d"] = np.nan
    values, rows = correlations(frame.to_numpy())
    expected = frame.corr().to_numpy()
    np.testing.assert_allclose(values[:5, :5], expected[:5, :5], atol=1e-9)
    assert np.isnan(values[5]).all()
    assert rows[1, 3] == frame[["b", "d"]].dropna().shape[0]
    np.testing.assert_allclose(ranks(frame["b"].to_numpy()), frame["b"].rank().to_numpy())
    assert ranks(np.array([2.0, 1.0, 2.0, np.nan]))[:3].tolist() == [2.5, 1.0, 2.5]


def test_cramers_v_equals_its_formula(rng):
    left = rng.choice(["a", "b", "c"], 2000)
    right = np.where(rng.random(2000) < 0.7, left, rng.choice(["a", "b", "c"], 2000))
    table = pd.crosstab(left, right).to_numpy()
    chi = stats.chi2_contingency(table, correction=False).statistic
    rows = table.sum()
    phi = max(0, chi / rows - 4 / (rows - 1))
    side = 3 - 4 / (rows - 1)
    value, known = cramers_v(encode(left.astype(object)), encode(right.astype(object)))
    assert known == 2000
    assert value == pytest.approx((phi / (side - 1)) ** 0.5, rel=1e-12)
    noise = cramers_v(
        encode(left.astype(object)), encode(rng.choice(["x", "y"], 2000).astype(object))
    )
    assert noise[0] < 0.06


def test_correlation_ratio_equals_the_share_of_variance_between_groups(rng):
    groups = rng.choice(["a", "b", "c"], 500).astype(object)
    values = rng.normal(size=500) + 2.0 * (groups == "a")
    series = pd.Series(values)
    between = sum(
        len(part) * (part.mean() - series.mean()) ** 2 for _, part in series.groupby(groups)
    )
    expected = (between / ((series - series.mean()) ** 2).sum()) ** 0.5
    values[3] = np.nan
    series[3] = np.nan
    assert correlation_ratio(encode(groups), values)[0] == pytest.approx(expected, abs=0.01)
    assert correlation_ratio(encode(groups), np.full(500, 4.0))[0] is None


def test_associations_cover_every_pair_once(rng):
    numbers = {"x": rng.normal(size=100), "y": rng.normal(size=100)}
    numbers["y"] += numbers["x"]
    categories = {
        "k": encode(np.where(numbers["x"] > 0, "p", "n").astype(object)),
        "m": encode(rng.choice(["u", "v"], 100).astype(object)),
    }
    found = associations(numbers, categories)
    assert {(one.left, one.right, one.measure) for one in found if abs(one.value) >= 0} >= {
        ("x", "y", "pearson"),
        ("x", "y", "spearman"),
        ("k", "x", "correlation_ratio"),
        ("k", "m", "cramers_v"),
    }
    strengths = [abs(one.value) for one in found]
    assert strengths == sorted(strengths, reverse=True)


def test_encode_orders_by_frequency_and_folds_the_rest():
    values = np.array(["b", "b", "a", "c", None, "d"], dtype=object)
    assert encode(values).codes.tolist() == [0, 0, 1, 2, -1, 3]
    assert encode(values, 2).codes.tolist() == [0, 0, 1, 1, -1, 1]


def test_roc_auc_equals_the_rank_statistic(rng):
    score, positive = np.round(rng.normal(size=500), 1), rng.random(500) < 0.3
    pairs = score[positive][:, None] - score[~positive][None, :]
    assert roc_auc(score, positive) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert roc_auc(score, np.zeros(500, dtype=bool)) is None


def test_mutual_information_of_copies_and_of_strangers(rng):
    codes = rng.integers(0, 4, 5000)
    information, share = mutual_information(codes, codes)
    assert information == pytest.approx(stats.entropy(np.bincount(codes)), abs=0.01)
    assert share == pytest.approx(1.0, abs=0.01)
    assert mutual_information(codes, rng.integers(0, 3, 5000))[0] < 0.002


def test_rare_levels_do_not_look_strong(rng):
    many = levels_of(rng.integers(0, 1500, 4000).astype(str).astype(object))
    target = (rng.random(4000) < 0.3).astype(float)
    area = roc_auc(out_of_fold_means(many, target), target > 0)
    assert 0.45 < area < 0.55


def test_bins_keep_few_values_apart_and_put_missing_last(rng):
    assert bins_of(np.array([1.0, 2.0, np.nan, 1.0])).tolist() == [0, 1, 2, 0]
    codes = bins_of(np.append(rng.normal(size=1000), np.nan))
    assert np.bincount(codes)[:-1].min() >= 19
    assert codes[-1] == codes.max()


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_power_finds_the_copy_and_not_the_noise(problem, rng):
    rows = 3000
    signal, noise = rng.normal(size=rows), rng.normal(size=rows)
    known = np.ones(rows, dtype=bool)
    known[:100] = False
    values = {
        "binary": (signal > 0.5) * 1.0,
        "multiclass": np.select([signal < -0.5, signal < 0.5], ["l", "m"], "h").astype(object),
        "regression": signal * 3 + 1,
    }[problem]
    codes = {"noise": bins_of(noise), "signal": bins_of(signal)}
    found = measure_power(codes, Target(problem, values, known))
    assert [one.column for one in found] == ["signal", "noise"]
    assert found[0].power > 0.95
    assert found[1].power < 0.1
    assert found[0].rows == 2900
    (suspect,) = suspects(found, set(), set())
    assert suspect.column == "signal"
    assert "almost perfectly" in suspect.reasons[0]


def test_power_needs_rows_and_two_classes():
    codes = {"x": np.zeros(100, dtype=np.int64)}
    known = np.ones(100, dtype=bool)
    assert measure_power(codes, Target("binary", np.zeros(100), known)) == []
    assert (
        measure_power(codes, Target("binary", np.arange(100) % 2.0, known & (np.arange(100) < 9)))
        == []
    )


def power(column, value):
    return Power(
        column=column,
        measure="roc_auc",
        value=(value + 1) / 2,
        power=value,
        mutual_information=0,
        mutual_information_share=0,
        rows=1,
        missing_share=0,
    )


def test_a_column_far_above_all_others_is_suspected():
    powers = [power("late", 0.78), power("a", 0.27), power("b", 0.2)]
    (suspect,) = suspects(powers, set(), set())
    assert suspect.column == "late"
    assert "far better than any other column (AUC 0.890, next 0.635)" in suspect.reasons[0]
    # A crowd of good columns is a good data set, and what is declared needs no guess.
    assert suspects([power("late", 0.78), power("a", 0.6)], set(), set()) == ()
    (declared,) = suspects(powers, {"late"}, set())
    assert declared.declared
    assert declared.reasons == ("declared as known only at the outcome",)


def test_columns_of_the_target_expression_are_suspects():
    (suspect,) = suspects([power("x", 0.1)], set(), {"x"})
    assert suspect.reasons == ("the target is computed from it",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("N123-ab", "A999-aa"), ("Žluť 7", "Aaaa 9"), ("x" * 40, "a" * 30 + "…"), ("", "")],
)
def test_shapes(text, expected):
    assert shape(text) == expected


def test_many_shapes_are_told_with_runs():
    texts = [sign * length for sign in ("x", "9", "Q") for length in range(1, 30)]
    found = count_shapes([(text, 1) for text in texts])
    assert found == [("9+", 28), ("A+", 28), ("a+", 28), ("9", 1), ("A", 1), ("a", 1)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a@b.cz", "x.y@z.org"], SemanticType.EMAIL),
        (["10.0.0.1", "255.255.255.255"], SemanticType.IP),
        (["::1", "fe80::1"], SemanticType.IP),
        (["999.0.0.1", "1.2.3.4"], None),
        (["https://x.y/z"], SemanticType.URL),
        (["123e4567-e89b-12d3-a456-426614174000"], SemanticType.UUID),
        (["2024-01-31", "2024-02-01T10:00:00Z"], SemanticType.DATE),
        (["31.1.2024", "1/2/2024 10:30"], SemanticType.DATE),
        (["+420 601 234 567", "(02) 1234-5678"], SemanticType.PHONE),
        (["1.5", "-3", "2e5"], SemanticType.NUMERIC),
        (["", " "], None),
        (["abc"], None),
    ],
)
def test_forms_of_texts(texts, expected):
    assert form_of(dict.fromkeys(texts, 1)) == expected


def kind_of(texts, known=1000, *, unique=False):
    return semantic_type(
        Family.TEXT,
        known=known,
        distinct=len(texts),
        unique=unique,
        texts=texts,
        shapes=len(count_shapes(texts.items())),
    )


def test_semantic_types_of_text():
    assert kind_of({"y": 500, "N": 500}) is SemanticType.BOOLEAN
    assert kind_of({"red": 500, "dark blue": 500}) is SemanticType.CATEGORY
    assert kind_of({f"N{n:04d}": 2 for n in range(500)}) is SemanticType.CODE
    assert kind_of({f"N{n:04d}": 1 for n in range(1000)}, unique=True) is SemanticType.ID
    assert kind_of({f"word {n} and more": 1 for n in range(990)}) is SemanticType.TEXT


def test_masks_tell_no_more_than_the_length():
    assert masked("secret") == "*** (6 characters)"
    assert masked(12.5) == "***"
    assert masked(None) is None
