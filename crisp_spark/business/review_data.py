"""Evidence of the outputs of phases 2 and 3."""

from __future__ import annotations

from crisp_spark.business.evidence import Finding, Material, count
from crisp_spark.results.base import Verdict
from crisp_spark.results.clean import CleanResult
from crisp_spark.results.derive import DeriveResult
from crisp_spark.results.ingest import IngestResult
from crisp_spark.results.merge import MergeResult
from crisp_spark.results.profile import ProfileResult
from crisp_spark.results.quality import QualityResult
from crisp_spark.results.split import SplitResult
from crisp_spark.results.sweep import SweepResult


def collection(at: Material) -> Finding | None:
    """Output 2.1.1."""
    found = at.of(IngestResult)
    if found is None:
        return None
    receipts = list(found.sources.values())
    kept = sum(item.kept for item in receipts)
    rejected = sum(item.rejected for item in receipts)
    return Finding(f"{count(receipts, 'receipt')}: {kept:,} rows kept, {rejected:,} rejected")


def description(at: Material) -> Finding | None:
    """Output 2.2.1."""
    found = at.of(ProfileResult)
    if found is None:
        return None
    columns = sum(len(source.columns) for source in at.spec.data.sources.values())
    return Finding(
        f"{count(list(found.sources), 'source')} described; {columns:,} columns declared in the "
        "project file"
    )


def exploration(at: Material) -> Finding | None:
    """Output 2.3.1."""
    if at.of(ProfileResult) is None:
        return None
    return Finding("associations, power of single columns, missingness and leak suspects")


def quality(at: Material) -> Finding | None:
    """Output 2.4.1."""
    found = at.of(QualityResult)
    if found is None:
        return None
    rules = [rule for source in found.sources for rule in source.rules]
    broken = [rule for rule in rules if rule.verdict is not Verdict.PASS]
    rows = sum(source.quarantined for source in found.sources)
    return Finding(
        f"{count(rules, 'rule')}, {len(broken)} not met or not judged, {rows:,} rows in quarantine"
    )


def data_set(at: Material) -> Finding | None:
    """Output 3.0.1."""
    found = at.of(SplitResult)
    if found is None:
        return None
    parts = ", ".join(f"{part.name} {part.rows:,}" for part in found.parts)
    return Finding(f"published tables with checksums: {parts} rows")


def data_set_description(at: Material) -> Finding | None:
    """Output 3.0.2."""
    derived, split = at.of(DeriveResult), at.of(SplitResult)
    if derived is None or split is None:
        return None
    return Finding(f"{count(list(derived.types), 'column')} with types, origin and split sizes")


def selection(at: Material) -> Finding | None:
    """Output 3.1.1: reasons of cleaning, of the population and of excluded columns."""
    cleaned, derived, sweep = at.of(CleanResult), at.of(DeriveResult), at.of(SweepResult)
    if cleaned is None:
        return None
    columns = {name for source in cleaned.sources for name in source.excluded}
    columns |= set(derived.excluded) if derived else set()
    columns |= {item.column for item in sweep.excluded} if sweep else set()
    rows = sum(source.rows_dropped for source in cleaned.sources)
    outside = derived.population.rows_out if derived else 0
    return Finding(
        f"{count(list(columns), 'column')} out, each with a reason; {rows:,} rows dropped and "
        f"{outside:,} outside the population"
    )


def cleaning(at: Material) -> Finding | None:
    """Output 3.2.1."""
    found = at.of(CleanResult)
    if found is None:
        return None
    operations = [item for source in found.sources for item in source.operations]
    cells = sum(item.cells_changed for item in operations)
    return Finding(f"{count(operations, 'operation')} changed {cells:,} cells")


def derived_attributes(at: Material) -> Finding | None:
    """Output 3.3.1."""
    found = at.of(DeriveResult)
    if found is None:
        return None
    documented = [column for column in found.columns if column.doc]
    return Finding(f"{count(found.columns, 'derived column')}, {len(documented)} documented")


def generated_records(at: Material) -> Finding | None:
    """Output 3.3.2: there are none; classes are weighed instead."""
    found = at.of(SweepResult)
    if found is None:
        return None
    weighed = "; rows are weighted by class" if found.plan.class_weights else ""
    return Finding(f"none: no training row was made up{weighed}")


def merged(at: Material) -> Finding | None:
    """Output 3.4.1."""
    found = at.of(MergeResult)
    if found is None:
        return None
    rates = [step.match_rate for step in found.steps if step.match_rate is not None]
    worst = f", lowest match rate {min(rates):.1%}" if rates else ""
    return Finding(f"{count(found.steps, 'merge')} to {found.rows_out:,} rows{worst}")


def formatted(at: Material) -> Finding | None:
    """Output 3.5.1: what was done to features for the learners."""
    found = at.of(SweepResult)
    if found is None:
        return None
    slots = sum(feature.slots for feature in found.features)
    notes = [note for family in found.families for note in family.notes]
    return Finding(
        f"{count(found.features, 'feature')} in {slots:,} places of a vector; "
        f"{count(notes, 'fix', 'fixes')} for single learners"
    )
