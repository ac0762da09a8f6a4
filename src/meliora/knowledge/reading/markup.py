"""The text and title of HTML: what a reader would see, without scripts, styles and forms. Nothing is loaded or run."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SKIPPED = frozenset(["script", "style", "noscript", "template", "svg", "math", "iframe", "object", "head"])
_BREAKING = frozenset(
    [
        "p",
        "div",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "aside",
        "nav",
        "ul",
        "ol",
        "li",
        "table",
        "tr",
        "blockquote",
        "pre",
        "br",
        "hr",
        "dl",
        "dt",
        "dd",
        "form",
        "figure",
    ]
)
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_LONG_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{9,}")
_OPEN = re.compile(r"<[^<>]{5000,}")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._skipped = ""
        self._depth = 0
        self._titled = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._titled = not self.title
        elif self._skipped:
            self._depth += tag == self._skipped
        elif tag == "body":
            self._skipped = ""
        elif tag in _SKIPPED:
            self._skipped, self._depth = tag, 1
        elif tag in _HEADINGS:
            self.parts.append(f"\n\n{_HEADINGS[tag]} ")
        elif tag in _BREAKING:
            self.parts.append("\n- " if tag == "li" else "\n" if tag in ("br", "tr") else "\n\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        if tag == "body" and self._skipped == "head":
            self._skipped = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKING and not self._skipped:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._titled = False
        elif tag == self._skipped:
            self._depth -= 1
            if self._depth <= 0:
                self._skipped = ""
        elif not self._skipped and (tag in _BREAKING or tag in _HEADINGS):
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._titled:
            self.title.append(data)
        elif not self._skipped:
            self.parts.append(data)


def text_of_html(source: str) -> tuple[str, str]:
    """Give text and title of HTML, however broken. Headings keep their level as in Markdown, by which passages are cut."""
    reader = _Reader()
    # A number longer than any letter's has no meaning and costs quadratic time; so does a tag that never ends.
    reader.feed(_OPEN.sub("", _LONG_NUMBER.sub(" ", source)))
    reader.close()
    text = re.sub(r"[ \t\r\f\v]+", " ", "".join(reader.parts).replace("\xa0", " "))
    lines = "\n".join(line.strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip(), " ".join("".join(reader.title).split())[:500]
