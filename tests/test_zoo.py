"""The list of shipped networks: the index, its page and its drawings are those of the specs as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archdsl.language.resources import zoo_names
from archdsl.show.zoo import cited, entries, entry, page

DOCS = Path(__file__).parents[1] / "docs"
STALE = "run `make zoo`"


def test_the_index_has_all_networks() -> None:
    assert [e.name for e in entries()] == list(zoo_names()), STALE
    pictures = {path.stem for path in (DOCS / "images" / "zoo").glob("*.svg")}
    assert pictures == set(zoo_names()), STALE


@pytest.mark.parametrize("listed", entries(), ids=lambda e: e.name)
def test_what_is_listed_is_so(listed: Any) -> None:
    assert listed == entry(listed.name), STALE
    assert listed.title and any(c.isdigit() for c in listed.paper), "its comment begins `TITLE (AUTHORS YEAR, arXiv:…)`"


def test_the_page_is_made_of_the_index() -> None:
    assert (DOCS / "zoo.md").read_text(encoding="utf-8") == page(entries()), STALE


def test_listing(run: Callable[..., Any]) -> None:
    said = run("zoo").out
    assert all(e.name in said and f"{e.params:,}" in said and e.paper in said for e in entries())
    assert [e["name"] for e in json.loads(run("zoo", "--format", "json").out)] == list(zoo_names())


def test_citations() -> None:
    assert cited("A-1 for B: C (D et al. 2017, arXiv:1): E.\n\nF (G)") == ("A-1 for B: C", "D et al. 2017, arXiv:1")
    assert cited("no source") == ("no source", "")
