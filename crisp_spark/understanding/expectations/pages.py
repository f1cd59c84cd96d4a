"""Data Docs pages that need no network and no scripts."""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Mapping
from typing import Any

_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#212529;font:15px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,sans-serif}
a{color:#0b5ed7;text-decoration:none}a:hover{text-decoration:underline}
h1,h4,h5,h6{margin:.2rem 0;font-weight:600}h1{font-size:1.6rem}h4{font-size:1.3rem}
h5{font-size:1.15rem}h6{font-size:1rem}
.container-fluid{padding:0 1rem}.row{display:flex;flex-wrap:wrap}
.col-12{width:100%}.col-6{width:50%;min-width:20rem}
.col-lg-2{width:17%;min-width:12rem}.col-lg-10{width:80%;flex:1 1 30rem}
.sticky{position:sticky;top:1rem}.nav{list-style:none;margin:0;padding:0}
.card{border:1px solid #dee2e6;border-radius:.4rem;margin:.5rem 0}
.card-header{padding:.5rem;background:#f1f3f5}.card-body{padding:.75rem}
.alert{padding:.6rem 1rem;border-radius:.4rem;background:#e9ecef;margin:1rem 0 .5rem}
table{border-collapse:collapse;width:100%}
th,td{padding:.4rem .5rem;border-bottom:1px solid #dee2e6;text-align:left;vertical-align:top}
pre{white-space:pre-wrap}.badge{padding:.1rem .45rem;border-radius:.3rem;background:#e9ecef}
.badge-warning{background:#fff3cd}.badge-danger{background:#f8d7da}
.table-success,.pass{background:#d1e7dd}.table-danger,.fail{background:#f8d7da}
.warn,.unknown{background:#fff3cd}
.pass,.fail,.warn,.unknown{padding:.1rem .5rem;border-radius:.3rem}
.fa-check-circle::before{content:"\\2713";color:#146c43;font-style:normal}
.fa-times::before{content:"\\2717";color:#b02a37;font-style:normal}
.fa-exclamation-triangle::before{content:"\\26A0";color:#997404;font-style:normal}
.ge-walkthrough-modal,.modal,.d-none.only-script,footer{display:none}
@media (max-width:800px){.col-lg-2,.col-lg-10,.col-6{width:100%}}
"""


def docs_page(validation: Any) -> str:
    """Render a validation result as a Data Docs page that needs no network and no scripts.

    The page is Great Expectations' own; its scripts, outside styles, fonts and the logo, which
    would be fetched from the web when the page is opened, are taken out.
    """
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    rendered = ValidationResultsPageRenderer().render(_escaped(validation))
    return offline(str(DefaultJinjaPageView().render(rendered)))


def _escaped(validation: Any) -> Any:
    """Copy a validation result with values and headings escaped: the pages show them as they are.

    Other arguments of an expectation are escaped by the library itself.
    """
    safe = copy.deepcopy(validation)
    for result in safe.results:
        result.result = _escape(result.result)
        arguments = result.expectation_config.kwargs
        if "column" in arguments:
            arguments["column"] = html.escape(arguments["column"])
    return safe


def _escape(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, dict):
        return {key: _escape(item) for key, item in value.items()}
    return [_escape(item) for item in value] if isinstance(value, list) else value


_BUTTONS = (  # they only work with scripts
    r'<div class="card mb-3">\s*<div class="card-header p-2">\s*<strong>Actions'
    r".*?</label>\s*(?:</div>\s*){5}"
)
_BLOCKS = (
    _BUTTONS,
    r"<(script|style|iframe|object|embed)\b.*?</\1\s*>",
    r"<(?:link|img|source)\b[^>]*>",
    # The call for subscribers in the footer.
    r'<p>[^<]*<a href="https?://.*?</p>',
    r'\son\w+="[^"]*"',
)
_REMOVED = tuple(re.compile(pattern, re.DOTALL | re.IGNORECASE) for pattern in _BLOCKS)
_ELSEWHERE = re.compile(
    r'<a\b[^>]*href="(?:https?://|(?:\.\./)*expectations/)[^"]*"[^>]*>(.*?)</a>',
    re.DOTALL | re.IGNORECASE,
)
_HOME = re.compile(r'href="(?:\.\./)*index\.html"')


def offline(page: str) -> str:
    """Take everything out of a page that would be fetched or run, and give it a plain style.

    The page's own styles go as well: they are written for a framework that is loaded from the
    web. Links to other sites, and to pages that are not made, become plain text.
    """
    for pattern in _REMOVED:
        page = pattern.sub("", page)
    page = _ELSEWHERE.sub(r"\1", page)
    page = _HOME.sub('href="index.html"', page)
    return page.replace("</head>", f"<style>{_STYLE}</style></head>", 1)


def docs_index(pages: Mapping[str, tuple[str, bool]]) -> str:
    """Render the entry page of the Data Docs.

    Args:
        pages: Source to the file of its page, relative to the entry page, and whether all held.
    """
    rows = "".join(
        f'<tr><td><a href="{html.escape(file)}">{html.escape(source)}</a></td>'
        f"<td>{'all rules hold' if good else 'some rules do not hold'}</td></tr>"
        for source, (file, good) in pages.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data Docs</title>'
        f"<style>{_STYLE}</style></head>"
        '<body><main class="container-fluid"><h1>Data Docs</h1><table><thead><tr>'
        f"<th>Source</th><th>Outcome</th></tr></thead><tbody>{rows}</tbody></table></main></body>"
        "</html>"
    )
