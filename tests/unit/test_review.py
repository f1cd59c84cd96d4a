from __future__ import annotations

import pytest
from pydantic import ValidationError

from crisp_spark.business.review import review_project
from crisp_spark.results.report import ReportFile, ReportResult
from crisp_spark.results.review import ReviewReport
from crisp_spark.spec.project import ProjectSpec
from crisp_spark.spec.review import OUTPUTS, TASKS, ReviewSpec
from tests import fixtures_results as known

BUSINESS = {"mining_goal": {"problem": "binary", "target": "late", "positive": True}}
DATA = {"sources": {"flights": {"kind": "csv", "path": "f.csv"}}}


def project(review: dict | None = None, deployment: dict | None = None, **business) -> ProjectSpec:
    return ProjectSpec.model_validate(
        {
            "version": 1,
            "project": {"name": "flights"},
            "business": BUSINESS | business,
            "data": DATA,
            "review": review or {},
            "deployment": deployment or {},
        }
    )


def by_number(report: ReviewReport) -> dict:
    return {output.number: output for output in report.outputs}


def states(spec: ProjectSpec, results=None, **options) -> dict[str, str]:
    report = review_project(spec, results or {}, **options)
    return {output.number: output.state for output in report.outputs}


def test_all_24_tasks_and_42_outputs_are_there_once_and_in_order():
    report = review_project(project(), {})
    assert [task.number for task in report.tasks] == list(TASKS)
    assert len(report.tasks) == 24
    assert sorted(output.number for output in report.outputs) == sorted(OUTPUTS)
    assert len(report.outputs) == 42
    assert [output.number for output in report.tasks[12].outputs] == ["3.0.1", "3.0.2", "3.5.1"]
    assert all(output.name for output in report.outputs)
    assert ReviewReport.model_validate(report.model_dump(mode="json")) == report


def test_before_anything_has_run_only_the_goal_is_there():
    found = states(project())
    assert found.pop("1.3.1") == "drafted"
    assert set(found.values()) == {"missing"}


def test_a_whole_run_leaves_only_what_people_must_write():
    results = known.binary_results() | {"report": ReportResult(title="")}
    found = states(project(), results)
    assert {number for number, state in found.items() if state == "missing"} == {
        "1.1.1",
        "1.1.2",
        "1.1.3",
        "1.2.2",
        "1.2.3",
        "1.2.4",
        "1.2.5",
        "1.3.2",
        "1.4.1",
        "6.3.2",
    }
    programs = {
        "2.1.1",
        "2.2.1",
        "2.4.1",
        "3.0.1",
        "3.0.2",
        "3.2.1",
        "3.3.1",
        "3.3.2",
        "3.4.1",
        "3.5.1",
        "4.2.1",
        "4.3.1",
        "4.3.2",
        "4.3.3",
        "4.4.2",
    }
    assert {number for number in programs if found[number] != "done"} == set()
    for number in ("1.4.2", "2.3.1", "3.1.1", "4.1.1", "4.1.2", "4.4.1", "5.1.1", "5.3.1"):
        assert found[number] == "drafted"


def test_evidence_says_what_is_there():
    found = by_number(review_project(project(), known.binary_results()))
    assert "rows kept" in found["2.1.1"].evidence
    assert "train 190,802, test 81,772, later 54,736 rows" in found["3.0.1"].evidence
    assert "3 of 3 checks hold" in found["4.2.1"].evidence
    assert found["4.3.1"].evidence == "gbt-1: maxDepth 5, stepSize 0.1"
    assert "5 of 6 trials finished" in found["4.3.2"].evidence
    assert "pr_auc from 0.4295 to 0.472" in found["4.4.2"].evidence
    assert found["5.1.1"].evidence == "1 fail, 4 pass, 1 unknown"
    assert found["5.1.2"].evidence == "flights 3, alias champion"
    assert (
        found["3.3.2"].evidence == "none: no training row was made up; rows are weighted by class"
    )
    assert found["5.3.2"].step == "decide"


def test_what_people_write_is_drafted_until_they_agree():
    def one(**facts) -> str:
        return states(project(risks=[{"id": "R", "statement": "s"} | facts]))["1.2.3"]

    assert one() == "drafted"
    assert one(status="agreed") == "done"
    assert one(status="waived") == "waived"


def test_one_draft_among_agreed_items_keeps_the_output_a_draft():
    items = [{"id": "A", "statement": "s", "status": "agreed", "owner": "Ana"}]
    both = [*items, {"id": "B", "statement": "s", "owner": "Bo"}]
    waived = [*items, {"id": "B", "statement": "s", "status": "waived", "owner": "Bo"}]
    assert states(project(objectives=items))["1.1.2"] == "done"
    assert states(project(objectives=both))["1.1.2"] == "drafted"
    assert states(project(objectives=waived))["1.1.2"] == "done"
    assert by_number(review_project(project(objectives=both), {}))["1.1.2"].owner == "Ana, Bo"


def test_criteria_are_told_apart_by_level_and_name_the_frozen_hash():
    criteria = [
        {"id": "M", "metric": "f1", "target": 0.5, "status": "agreed"},
        {"id": "B", "metric": "net_value", "target": 1, "level": "economic"},
    ]
    spec = project(criteria=criteria)
    found = by_number(review_project(spec, {}))
    assert (found["1.1.3"].state, found["1.3.2"].state) == ("drafted", "done")
    assert found["1.3.2"].evidence == "1 criterion, not frozen yet"
    frozen = by_number(review_project(spec, {"charter": known.charter()}))["1.3.2"]
    assert "frozen in version" in frozen.evidence


def test_a_note_by_a_person_settles_a_draft():
    note = {"output": "2.3.1", "text": "Evenings are late.", "owner": "Ana"}
    spec = project(review={"notes": [note]})
    found = by_number(review_project(spec, known.binary_results()))["2.3.1"]
    assert (found.state, found.note, found.owner) == ("done", "Evenings are late.", "Ana")
    assert states(spec)["2.3.1"] == "drafted"


def test_a_note_cannot_settle_what_only_a_person_may_agree_to():
    note = {"output": "1.2.3", "text": "looked at"}
    spec = project(review={"notes": [note]}, risks=[{"id": "R", "statement": "s"}])
    assert states(spec)["1.2.3"] == "drafted"


def test_a_waiver_counts_only_for_what_is_missing():
    waivers = [
        {"output": number, "reason": "no slides wanted", "owner": "Ana"}
        for number in ("6.3.2", "2.1.1")
    ]
    spec = project(review={"waivers": waivers})
    found = by_number(review_project(spec, known.binary_results()))
    assert (found["6.3.2"].state, found["6.3.2"].note) == ("waived", "no slides wanted")
    assert found["6.3.2"].owner == "Ana"
    assert found["2.1.1"].state == "done"


@pytest.mark.parametrize(
    ("review", "message"),
    [
        ({"notes": [{"output": "2.3.2", "text": "x"}]}, "no output '2.3.2'; near it: 2.3.1"),
        (
            {"waivers": [{"output": "9.9.9", "reason": "x", "owner": "y"}]},
            "no output '9.9.9'; `crisp review` lists",
        ),
        ({"waivers": [{"output": "6.3.2", "reason": "x", "owner": "y"}] * 2}, "given twice"),
        ({"waivers": [{"output": "6.3.2", "reason": "", "owner": "y"}]}, "at least 1 character"),
    ],
)
def test_faults_of_a_review_are_named(review, message):
    with pytest.raises(ValidationError, match=message):
        ReviewSpec.model_validate(review)


def test_a_task_is_as_good_as_its_worst_output():
    report = review_project(
        project(background={"text": "b", "status": "agreed"}), known.binary_results()
    )
    tasks = {task.number: task for task in report.tasks}
    assert tasks["1.1"].state == "missing"
    assert tasks["2.1"].state == "done"
    assert tasks["2.3"].state == "drafted"
    assert tasks["3.5"].phase == "preparation"


def test_progress_of_the_plan_follows_from_steps_that_have_run():
    plan = [
        {"stage": "look", "days": 2, "steps": ["ingest", "profile"]},
        {"stage": "model", "days": 3, "depends_on": ["look"], "steps": ["sweep"]},
        {"stage": "talk", "days": 1},
    ]
    results = {name: known.binary_results()[name] for name in ("ingest", "profile")}
    found = by_number(review_project(project(plan=plan), results))["1.4.1"]
    assert found.evidence == "3 stages; 1 of 2 tracked stages done"


def test_nothing_approved_is_an_answer_too():
    results = known.binary_results() | {"decide": known.decide()}
    results.pop("deploy")
    found = by_number(review_project(project(), results))["5.1.2"]
    assert (found.state, found.evidence) == ("done", "none: the decision is iterate")


def test_a_decision_is_a_draft_until_somebody_signs():
    results = known.binary_results()
    assert states(project(), results)["5.3.2"] == "drafted"
    assert states(project(), results | {"decide": known.decide("deploy")})["5.3.2"] == "done"
    signed = {"notes": [{"output": "5.3.2", "text": "agreed", "owner": "Ana"}]}
    assert states(project(review=signed), results)["5.3.2"] == "done"


def test_plans_are_settled_by_what_people_declared():
    declared = {
        "users": "gate agents",
        "rollout": [{"step": "one terminal"}],
        "monitoring": {"owner": "ops"},
    }
    found = states(project(deployment=declared), known.binary_results())
    assert (found["6.1.1"], found["6.2.1"]) == ("done", "done")
    plain = states(project(), known.binary_results())
    assert (plain["6.1.1"], plain["6.2.1"]) == ("drafted", "drafted")


def test_the_report_counts_while_it_is_being_written():
    spec = project(review={"conclusion": "It pays.", "process": "Too hasty."})
    assert states(spec)["6.3.1"] == "missing"
    assert states(spec, reporting=True)["6.3.1"] == "done"
    assert states(project(), reporting=True)["6.3.1"] == "drafted"
    slides = ReportFile(name="presentation.html", bytes=1, sha256="", description="")
    assert states(spec, {"report": ReportResult(title="", files=[slides])})["6.3.2"] == "done"
    assert review_project(spec, {}).process == "Too hasty."


def test_experience_is_prefilled_by_the_program():
    report = review_project(
        project(
            review={"lessons": [{"text": "Start early.", "kind": "change", "phase": "business"}]}
        ),
        known.binary_results() | {"decide": known.decide("deploy")},
    )
    assert report.lessons[0] == "Change (business): Start early."
    text = "\n".join(report.lessons)
    assert "1 trial failed: a feature is negative: hour_sin" in text
    assert "M. Ortega" in text
    assert by_number(report)["6.4.1"].state == "done"


def test_glossary_and_column_descriptions_make_the_terminology():
    spec = project(glossary=[{"term": "late", "meaning": "15 min", "status": "agreed"}])
    assert states(spec)["1.2.4"] == "done"
    data = {"sources": {"f": {"kind": "csv", "path": "x", "columns": {"a": {"description": "d"}}}}}
    described = ProjectSpec.model_validate(project().model_dump() | {"data": data})
    found = by_number(review_project(described, {}))["1.2.4"]
    assert (found.state, found.evidence) == ("drafted", "0 terms, 1 described column")


def test_costs_name_what_a_prediction_must_bring_in():
    spec = project(
        outcome_values={"tp": 1},
        running_costs=[{"name": "cluster", "amount": 1, "status": "agreed", "owner": "ops"}],
    )
    found = by_number(review_project(spec, {}))["1.2.5"]
    assert (found.state, found.owner) == ("done", "ops")
    assert states(project(outcome_values={"tp": 1}))["1.2.5"] == "drafted"
