from __future__ import annotations

import json
from math import comb

import pytest

from crisp_spark.errors import DataError, UsageError
from crisp_spark.run.challenger import (
    Logged,
    compare_logged,
    judged,
    mcnemar_p,
    read_comparisons,
)
from crisp_spark.serving.endpoint.shadow import key_digest
from crisp_spark.spec.load import load_project
from tests import tiny_project
from tests.unit.test_models import models, publish, versions

__all__ = ["models"]


def line(rows=2, changes=1, mean=0.1, most=0.2, version="2", outcomes=()):
    return json.dumps(
        {
            "event": "shadow",
            "champion": {"name": "late", "version": "1", "digest": "a"},
            "shadow": {"name": "late", "version": version, "digest": "b"},
            "problem": "binary",
            "rows": rows,
            "class_changes": changes,
            "answerer_changes": 0,
            "scored_rows": rows if mean is not None else 0,
            "mean_abs_score_difference": mean,
            "max_abs_score_difference": most,
            "key": ["visit"],
            "outcomes": outcomes,
        },
        separators=(",", ":"),
    )


def test_logs_are_read_together_and_other_lines_left_out(tmp_path):
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    failed = '{"level":"ERROR","event":"shadow","error":"ZeroDivisionError"}'
    first.write_text(f'{line()}\n{{"_aws":{{}}}}\nstarting\n{failed}\n')
    second.write_text(
        f"2026-11-26T10:00:00Z {line(rows=6, changes=0, mean=0.5, most=0.9)}\n"
        f"{line(version='3', mean=None, most=None)}\n"
    )
    found, other = read_comparisons([first, second])
    assert (found.champion, found.challenger, other.challenger) == ("late 1", "late 2", "late 3")
    assert (found.difference.rows, found.difference.class_changes) == (8, 1)
    assert found.difference.mean_abs == pytest.approx((2 * 0.1 + 6 * 0.5) / 8)
    assert found.difference.max_abs == 0.9
    assert other.difference.mean_abs is None


def test_a_row_that_was_asked_for_twice_counts_once_with_its_last_answer(tmp_path):
    log = tmp_path / "log"
    said = [["k", "true", True, 0.9, "true", True, 0.8]]
    later = [["k", "false", False, 0.1, "true", True, 0.8]]
    log.write_text(f"{line(outcomes=said)}\n{line(outcomes=later)}\n")
    (found,) = read_comparisons([log])
    assert found.said == {"k": ("false", False, 0.1, "true", True, 0.8)}


def test_a_damaged_line_is_told_by_its_place(tmp_path):
    log = tmp_path / "log"
    log.write_text(f"x\n{line()[:-20]}\n")
    with pytest.raises(DataError, match="log:2"):
        read_comparisons([log])
    log.write_text('["a list with \\"event\\":\\"shadow\\" in it"]\n[{"event":"shadow"}]\n')
    with pytest.raises(DataError, match="log:2"):
        read_comparisons([log])
    with pytest.raises(DataError, match="cannot read"):
        read_comparisons([tmp_path / "nothing"])


def logged(problem, **said):
    return Logged("m 1", "m 2", problem, said=dict(said))


def test_decisions_are_held_against_the_positive_class():
    found = judged(
        logged(
            "binary",
            a=("no", True, 0.4, "no", False, 0.3),  # below 0.5, above its threshold
            b=("no", False, 0.1, "yes", True, 0.7),
            c=("yes", True, 0.8, "yes", True, 0.9),
            d=(None, None, None, "yes", True, 0.9),
            e=("yes", True, 0.8, "yes", True, 0.9),  # outcome not known
        ),
        {"a": "yes", "b": "no", "c": "no", "d": "yes", "z": "yes"},
        "yes",
    )
    # a and b: the champion only; c: nobody; d: the challenger only.
    assert (found.rows, found.champion, found.challenger) == (4, 0.5, 0.25)
    assert (found.only_champion, found.only_challenger) == (2, 1)
    assert found.p_value == 1.0


def test_classes_and_numbers_have_measures_of_their_own():
    known = {"a": "red", "b": "blue"}
    said = {"a": ("red", None, 0.9, "blue", None, 0.5), "b": ("red", None, 0.9, "blue", None, 0.5)}
    found = judged(logged("multiclass", **said), known, None)
    assert (found.champion, found.challenger, found.p_value) == (0.5, 0.5, 1.0)
    numbers = {"a": (1.0, None, 1.0, 2.0, None, 2.0), "b": (5.0, None, 5.0, None, None, None)}
    found = judged(logged("regression", **numbers), {"a": 4.0, "b": 5.0}, None)
    assert (found.rows, found.champion, found.challenger) == (1, 3.0, 2.0)
    assert found.p_value is None
    assert judged(logged("regression", **numbers), {}, None) is None
    assert judged(logged("binary"), {"a": "x"}, "x") is None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 0.021484375), (9, 1, 0.021484375), (0, 6, 0.03125)],
)
def test_mcnemar_is_exact_for_few_rows(one, other, expected):
    assert mcnemar_p(one, other) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_for_many_rows_joins_the_exact_one():
    exact = 2 * sum(comb(1001, k) for k in range(452)) / 2**1001
    assert mcnemar_p(550, 451) == pytest.approx(exact, rel=0.01)
    assert 0 < mcnemar_p(1000, 2000) < 1e-70
    assert mcnemar_p(700, 700) == 1.0


def test_without_an_evaluation_or_with_part_of_a_key_no_outcome_is_known(tmp_path):
    project = load_project(tiny_project.write(tmp_path), environ={})
    one = logged("binary", **{key_digest({"visit": 1}): ("true", True, 0.9, "true", True, 0.8)})
    (found,) = compare_logged(project, [one])
    assert (found.keyed_rows, found.outcomes) == (1, None)
    one.key = ("visit",)
    (found,) = compare_logged(project, [one])
    assert found.outcomes is None
    assert ("outcome known", "of none of 1 rows with a key") in found.lines()


def test_a_challenger_is_promoted_by_a_move_that_can_be_taken_back(models):
    publish(models, "1")
    models.publish(b"bundle 2", "2", "challenger", by="Ada", reason="to be watched")
    move = models.promote("champion", to="challenger", by="Bo", reason="better by p = 0.01")
    assert (move.alias, move.version, move.kind, move.number) == ("champion", "2", "promote", 2)
    assert models.promote("champion", to="challenger", by="Bo", reason="again") == move
    assert [one.version for one in models.history("challenger")] == ["2"]
    assert models.roll_back("champion", to=None, by="Bo", reason="complaints").version == "1"
    assert versions(models) == [("1", "deploy"), ("2", "promote"), ("1", "rollback")]


def test_nothing_is_promoted_from_nowhere_or_without_a_reason(models):
    publish(models, "1")
    with pytest.raises(UsageError, match="points at nothing"):
        models.promote("champion", to="challenger", by="Bo", reason="x")
    with pytest.raises(UsageError, match="a reason is needed"):
        models.promote("champion", to="challenger", by="Bo", reason=" ")
