"""Building HTML in which nothing that comes from data is ever markup.

A plain ``str`` is text and is escaped wherever it lands; only :class:`Html` is markup. Characters
that are invisible or change the reading direction are shown, so that a column name cannot disguise
itself in a report.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_VOID = frozenset({"br", "hr", "img", "meta", "link", "col", "wbr"})
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


class Html(str):
    """Markup that is safe to show; Jinja2 leaves it as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


Content = str | Html | int | None
"""What may stand between two tags: text, markup, or nothing."""


def visible(text: str) -> str:
    """Replace control, direction and zero-width characters by their visible names."""
    return _CONTROLS.sub(_named, text)


def _named(match: re.Match[str]) -> str:
    point = ord(match.group())
    return chr(0x2400 + point) if point < 0x20 else f"<U+{point:04X}>"  # noqa: PLR2004 - control pictures


def escape(content: Content) -> Html:
    """Return ``content`` as markup: text is escaped, markup stays, None is empty."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    return Html(html.escape(visible(str(content)), quote=True))


def join(parts: Iterable[Content], separator: str = "") -> Html:
    """Join pieces of content; the separator is markup."""
    return Html(separator.join(escape(part) for part in parts))


def tag(name: str, *children: Content, **attributes: str | float | bool | None) -> Html:
    """Build an element.

    Args:
        name: Element name.
        children: Text (escaped) and markup.
        attributes: ``class_`` stands for ``class`` and ``_`` for ``-``; None and False leave the
            attribute out, True writes it without a value.
    """
    written = "".join(
        f" {_attribute(key)}" if value is True else f' {_attribute(key)}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
