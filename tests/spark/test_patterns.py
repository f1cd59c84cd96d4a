"""Frequent patterns of baskets: against counts made by hand."""

from __future__ import annotations

import pytest

from crisp_spark.errors import MissingColumnsError
from crisp_spark.reporting.pages.profile_patterns import patterns
from crisp_spark.spec.patterns import Patterns
from crisp_spark.understanding.patterns import find_patterns

pytestmark = pytest.mark.slow

ROWS = [
    (1, "a.b", "bread", 1), (1, "a.b", "butter", 2), (1, "a.b", "bread", 3),
    (2, "a.b", "bread", 1), (2, "a.b", "butter", 1), (2, "a.b", "žito <b>", 2),
    (3, "a.b", "bread", 1), (3, "a.b", "jam", 2),
    (4, "a.b", "jam", 1),
    (4, None, "butter", 1), (5, "a.b", None, 1),
]  # fmt: skip


@pytest.fixture
def visits(spark):
    return spark.createDataFrame(ROWS, "visit int, `shop.id` string, `the item` string, at int")


def asked(**fields):
    base = {"basket": ["visit", "shop.id"], "item": "the item", "min_support": 0.5}
    return Patterns.model_validate({**base, **fields})


def test_sets_rules_and_sequences_are_those_counted_by_hand(visits):
    found = find_patterns(visits, "visits", asked(order="at", min_confidence=0.6))
    assert (found.baskets, found.items, found.left_out) == (4, 4, 2)
    assert [(s.items, s.baskets, s.support) for s in found.sets] == [(["bread", "butter"], 2, 0.5)]
    rules = {(tuple(r.when), tuple(r.then)): (r.confidence, r.lift, r.support) for r in found.rules}
    assert rules == {
        (("butter",), ("bread",)): (1.0, pytest.approx(4 / 3), 0.5),
        (("bread",), ("butter",)): (pytest.approx(2 / 3), pytest.approx(4 / 3), 0.5),
    }
    assert found.sequences == []  # no two items follow each other in half of the baskets
    more = find_patterns(visits, "visits", asked(order="at", min_support=0.25, most=100))
    follow = {tuple(map(tuple, s.moments)): s.baskets for s in more.sequences}
    assert follow[("bread",), ("jam",)] == 1
    assert follow[("bread", "butter"), ("žito <b>",)] == 1
    assert follow[("bread",), ("butter",), ("bread",)] == 1
    assert (("jam",), ("bread",)) not in follow
    page = patterns(more)
    assert "žito &lt;b&gt;" in page
    assert "2 rows without one were left out" in page


def test_nothing_to_find_is_no_error_and_a_missing_column_is(visits):
    empty = find_patterns(visits.where("visit > 9"), "visits", asked(order="at"))
    assert (empty.baskets, empty.sets, empty.rules, empty.sequences) == (0, [], [], [])
    assert "There are no baskets" in patterns(empty)
    with pytest.raises(MissingColumnsError, match="prodct"):
        find_patterns(visits, "visits", asked(item="prodct"))
