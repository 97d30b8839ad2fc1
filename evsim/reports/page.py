"""html_page: the sections between a head that forbids every request and a small script that sorts and zooms."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from evsim.reports.element import Markup, element
from evsim.reports.sections import sections
from evsim.reports.story import Story

__all__ = ["html_page"]


def html_page(story: Story) -> str:
    """The whole page, which opens from a disk and asks no server for anything.

    Parameters
    ----------
    story : Story
    """
    style, script = _file("page.css"), _file("page.js")
    title = f"evsim report: {story.report.input['file']} through {story.report.weights['file']}"
    told = list(sections(story))
    links = [element("a", heading, href=f"#{key}") for key, heading, _ in told]
    head = element(
        "head", element("meta", charset="utf-8"), element("meta", name="viewport", content="width=device-width"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("title", title), element("style", style),
    )  # fmt: skip
    body = element(
        "body", element("header", element("h1", title), element("nav", *links, aria_label="sections")),
        element("main", *(_section(*part) for part in told)), element("script", script),
    )  # fmt: skip
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _section(key: str, heading: str, content: list[Markup]) -> Markup:
    return element(
        "section", element("h2", heading, id=f"{key}-heading"), *content, id=key, aria_labelledby=f"{key}-heading"
    )


def _policy(script: str) -> str:
    """Nothing may be loaded, and no script run but our own, should a word from a file ever slip through as markup."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _file(name: str) -> Markup:
    return Markup(files("evsim.reports").joinpath(name).read_text(encoding="utf-8"))
