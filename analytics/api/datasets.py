"""The datasets of the exports, read by programs: page by page as JSON, or whole as CSV.

Every answer is of one moment and says of which revision. A page that follows
another is refused when data moved in between, so that no reader puts two states
of the study into one table.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from django.db import connection
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from analytics import selectors
from analytics.api import requests
from analytics.api.problems import bad
from analytics.api.security import NotAllowed, demand, person_of, token_of
from analytics.code_version import CURRENT
from analytics.datasets import DATASETS, FROM_RESULTS, RESULTS, Column, Dataset, Kind
from analytics.exports import bundle, taken
from analytics.models import ExportRecord
from analytics.selectors import Freshness
from trial import protocol, strict_json, typed
from trial.models import ApiToken
from trial.roles import Permission
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; it is translated when it is said."""
    return message


SOURCE = "api"
_FURTHEST = 10**9
_CELLS_AT_ONCE = 1000
_NUMBER = re.compile(r"[0-9]{1,18}")
_KNOWN = ("limit", "cursor", "identified", "purpose", "population")


def listing(request: HttpRequest) -> HttpResponse:
    """Return what there is to read."""
    requests.refuse_unknown(request, ())
    _refuse_one_site(request)
    here = request.build_absolute_uri(request.path.rstrip("/"))
    return requests.answer(
        {
            "datasets": [
                {
                    "name": dataset.name,
                    "grain": dataset.grain,
                    "href": f"{here}/{dataset.name}",
                    "columns": _described(dataset.shown(identified=False)),
                }
                for dataset in DATASETS.values()
            ]
        }
    )


def _described(columns: tuple[Column, ...]) -> list[dict[str, str]]:
    return [{"name": column.name, "kind": column.kind.value, "label": column.label} for column in columns]


def _refuse_one_site(request: HttpRequest) -> None:
    """Datasets are of the whole study: who sees one site only reads subjects instead."""
    if not person_of(request).sees_all_sites:
        raise NotAllowed(Permission.EXPORT_FILES.value)


class _Asked:
    """What is asked for, checked: dataset, whose rows, with or without what identifies."""

    def __init__(self, request: HttpRequest, name: str) -> None:
        requests.refuse_unknown(request, _KNOWN)
        _refuse_one_site(request)
        if name not in DATASETS:
            raise Http404
        self.dataset: Dataset = DATASETS[name]
        self.format = requests.wanted(request, requests.JSON, requests.CSV)
        self.population = self._population(request.GET.get("population", ""))
        self.identified = self._flag(request.GET.get("identified", "false"))
        self.purpose = self._purpose(request)
        self.limit = requests.limit_in(request, "limit")
        self.cursor = request.GET.get("cursor", "")

    def _population(self, text: str) -> str:
        if text not in ("", *protocol.Population):
            raise bad(
                "population",
                text,
                "population",
                _("“%(value)s” is not a population."),
                _("Send one of: %(words)s."),
                words=", ".join(protocol.Population),
            )
        return text

    def _flag(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise bad(
                "identified",
                text,
                "flag",
                _("“%(value)s” is neither true nor false."),
                _("Send one of them."),
            )
        return text == "true"

    def _purpose(self, request: HttpRequest) -> str:
        if not self.identified:
            return ""
        demand(token_of(request), ApiToken.Scope.READ_IDENTIFIED)
        try:
            purpose = typed.read_text(request.GET.get("purpose", ""), most=taken.LONGEST_PURPOSE)
        except Unreadable as error:
            raise bad("purpose", error.value, error.rule, error.sentence.text, error.remedy.text) from None
        if len(purpose.strip()) < taken.SHORTEST_PURPOSE:
            raise bad(
                "purpose",
                purpose,
                "purpose_needed",
                _("Data that identify are given for a purpose of at least %(least)s letters."),
                _("Send it as “purpose”; it stands in the log."),
                least=taken.SHORTEST_PURPOSE,
            )
        return purpose

    def tag(self, freshness: Freshness) -> str:
        """Return what names exactly this answer: data, results, code and question."""
        said = json.dumps(
            [
                freshness.latest, freshness.shown, CURRENT, self.dataset.name, self.format, self.population,
                self.identified, self.limit, self.cursor,
            ]
        )  # fmt: skip
        return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'

    def columns(self) -> tuple[Column, ...]:
        return self.dataset.shown(identified=self.identified)


def dataset(request: HttpRequest, name: str) -> HttpResponseBase:
    """Return a page of a dataset, or all of it as CSV."""
    asked = _Asked(request, name)
    with selectors.one_moment():
        freshness = selectors.freshness()
        tag = asked.tag(freshness)
        if requests.is_known(request, tag):
            return requests.not_modified(tag)
        if asked.format == requests.CSV:
            answer, rows, digest = _whole(asked)
        else:
            answer, rows, digest = _page(request, asked, freshness)
    ExportRecord.objects.create(
        by=person_of(request),
        source=SOURCE,
        identified=asked.identified,
        purpose=asked.purpose,
        population=asked.population,
        format=asked.format.rpartition("/")[2],
        revision=freshness.latest,
        rows={asked.dataset.name: rows},
        sha256=digest,
    )
    answer["ETag"] = tag
    answer["Cordline-Revision"] = str(freshness.latest)
    return answer


# --- CSV ------------------------------------------------------------------------------------


def _whole(asked: _Asked) -> tuple[HttpResponseBase, int, str]:
    """Write everything to a file that nobody finds again, then send it: an error is an answer, not half a table."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"{asked.dataset.name}.csv"
        blocks = bundle.blocks(asked.dataset, identified=asked.identified, population=asked.population)
        written = bundle.written_to(path, asked.dataset, blocks)
        # the open file stays readable when its directory goes
        file = path.open("rb")
    answer = FileResponse(file, content_type="text/csv; charset=utf-8", filename=path.name)
    return answer, written.rows, written.sha256


# --- pages ----------------------------------------------------------------------------------


def _page(request: HttpRequest, asked: _Asked, freshness: Freshness) -> tuple[HttpResponseBase, int, str]:
    start = _start(asked, freshness)
    if asked.dataset.source:
        rows, after = _rows_of_query(asked, start)
    else:
        rows, after = _rows_of_results(asked, freshness, start)
    head = strict_json.written(
        {
            "dataset": asked.dataset.name,
            "grain": asked.dataset.grain,
            "revision": freshness.latest,
            "results_revision": freshness.shown if asked.dataset.name in FROM_RESULTS else None,
            "code_version": CURRENT,
            "identified": asked.identified,
            "population": asked.population or "all",
            "columns": _described(asked.columns()),
        }
    )
    text = f'{head[:-1]}, "rows": [{", ".join(rows)}]}}'
    answer = HttpResponse(text, content_type=requests.JSON)
    if after is not None:
        cursor = requests.cursor_of(
            data=freshness.latest, results=freshness.shown, key=after[0], skip=after[1]
        )
        answer["Link"] = requests.next_link(request, cursor)
    return answer, len(rows), hashlib.sha256(answer.content).hexdigest()


def _start(asked: _Asked, freshness: Freshness) -> tuple[str, int]:
    """Return the key a page begins at, and how many rows of that key were read before."""
    if not asked.cursor:
        return "", 0
    cursor = requests.read_cursor(asked.cursor, data=int, results=int, key=str, skip=int)
    moved = cursor["data"] != freshness.latest or (
        asked.dataset.name in FROM_RESULTS and cursor["results"] != freshness.shown
    )
    if moved:
        raise bad(
            "cursor",
            asked.cursor,
            "data_moved",
            _("The data are at revision %(now)s; the pages before this one were of revision %(then)s."),
            _("Begin again with the first page, or take the whole dataset as CSV."),
            status=409,
            now=freshness.latest,
            then=cursor["data"],
        )
    column = _key_column(asked.dataset, asked.columns())
    # rows of results are found by the place of their key
    is_number = not asked.dataset.source or (column is not None and column.kind is Kind.WHOLE)
    if not 0 <= cursor["skip"] <= _FURTHEST or (is_number and not _NUMBER.fullmatch(cursor["key"])):
        raise bad("cursor", asked.cursor, "cursor", _("“%(value)s” is not a cursor."), _("Take it from the link to the next page."))  # fmt: skip
    return cursor["key"], cursor["skip"]


def _key_column(dataset: Dataset, columns: tuple[Column, ...]) -> Column | None:
    """Return the column that the rows are ordered by first, so that a page need not read those before it."""
    first = dataset.order.split(",")[0].strip()
    return next((column for column in columns if column.sql == first), None)


def _rows_of_query(asked: _Asked, start: tuple[str, int]) -> tuple[list[str], tuple[str, int] | None]:
    """Return the rows of a page as JSON that PostgreSQL writes itself: exact numbers, no float in between."""
    key, skip = start
    ordered_by = _key_column(asked.dataset, asked.columns())
    column = ordered_by.name if ordered_by else ""
    query = asked.dataset.query(identified=asked.identified, population=asked.population, guarded=False)
    # the declarations' own words; a percent sign in them is none of a parameter
    query = query.replace("%", "%%")
    from_here = f'WHERE q."{column}"::text = %s OR q."{column}" > %s' if column and key else ""
    parameters: list[Any] = [key, key] if from_here else []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT row_to_json(page)::text FROM (SELECT * FROM ({query}) q {from_here} LIMIT %s OFFSET %s) page",  # noqa: S608
            [*parameters, asked.limit + 1, skip],
        )
        rows = [row for (row,) in cursor.fetchall()]
    if len(rows) <= asked.limit:
        return rows, None
    rows = rows[: asked.limit]
    if not column:
        return rows, ("", skip + len(rows))
    last = str(json.loads(rows[-1])[column])
    of_last = 0
    for row in reversed(rows):
        if str(json.loads(row)[column]) != last:
            break
        of_last += 1
    return rows, (last, of_last + (skip if of_last == len(rows) and last == key else 0))


def _rows_of_results(
    asked: _Asked, freshness: Freshness, start: tuple[str, int]
) -> tuple[list[str], tuple[str, int] | None]:
    """Return the rows of a page, having read no cells but its own and those adjusted together with them."""
    names = [column.name for column in asked.columns()]
    key, skip = start
    places = {cell: at for at, cell in enumerate(selectors.keys_of(population=asked.population))}
    place = int(key or 0)
    found: list[tuple[int, Any]] = []
    # many cells have no row of tests at all
    batch = max(asked.limit + skip + 1, _CELLS_AT_ONCE)
    while len(found) - skip <= asked.limit and place < len(places):
        for cell, result in selectors.current_cells(
            population=asked.population, places=slice(place, place + batch)
        ):
            rows_of = RESULTS[asked.dataset.name](cell, result, freshness.shown)
            found += [(places[cell], row) for row in rows_of]
        place += batch
    page = found[skip : skip + asked.limit]
    rows = [strict_json.written(dict(zip(names, row, strict=True))) for _at, row in page]
    if len(found) - skip <= asked.limit:
        return rows, None
    following = skip + asked.limit
    next_place = found[following][0]
    return rows, (str(next_place), sum(at == next_place for at, _row in found[:following]))
