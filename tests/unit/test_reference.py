from __future__ import annotations

from pathlib import Path

from crisp_spark.spec.reference import project_reference
from crisp_spark.spec.schema import project_schema

PAGE = Path(__file__).parents[2] / "docs" / "project-file.md"


def test_the_page_follows_the_models():
    """Renew it: python -m crisp_spark.spec.reference > docs/project-file.md."""
    assert PAGE.read_text(encoding="utf-8") == project_reference(project_schema())


def test_links_lead_to_headings():
    text = PAGE.read_text(encoding="utf-8")
    headings = {
        line[3:].lower().replace(" ", "-") for line in text.splitlines() if line.startswith("## ")
    }
    linked = {part.split(")")[0] for part in text.split("](#")[1:]}
    assert linked <= headings, linked - headings
