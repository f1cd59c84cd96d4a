"""Wiring of phase 1, business understanding."""

from __future__ import annotations

from crisp_spark.run.steprun import Note, Outcome, StepRun


def charter(run: StepRun) -> Outcome:
    """Freeze the charter; refuse criteria that changed after a test set was read."""
    from crisp_spark.business.charter import Circumstances, freeze_charter
    from crisp_spark.business.resources import find_resources
    from crisp_spark.spec.modeling import DEFAULT_FAMILIES

    families = run.spec.modeling.families
    problem = run.spec.business.mining_goal.problem
    result = freeze_charter(
        run.spec.business,
        project=run.spec.project.name,
        circumstances=Circumstances(
            frozen_at=run.started,
            resources=find_resources(),
            families=[family.kind for family in families] or DEFAULT_FAMILIES[problem],
            charters=run.commits("charter"),
            evaluations=run.commits("evaluate"),
        ),
    )
    run.tracker.tags(
        {
            "crisp.charter_version": str(result.version),
            "crisp.charter_hash": result.charter_hash,
            "crisp.criteria_hash": result.criteria_hash,
        }
    )
    required = len(result.required_criteria)
    notes = [
        Note(
            f"charter version {result.version}: {len(result.criteria)} criteria, "
            f"{required} required, {result.critical_path_days:g} days on the critical path"
        ),
        *(Note(text, level="warning") for text in result.warnings),
    ]
    return Outcome(result, notes=notes)
