"""A site's visits of one week as a sheet."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from patients import grid, selectors
from patients.actions.grid import SOURCE, RowEntry, record_rows
from patients.forms.grid import COLUMNS, SUGGESTED, VERSIONS, SheetForm, SheetRow, missing_label
from patients.grid import Kind
from patients.imports import columns as headers
from patients.imports.kinds import SUBJECT
from trial import address, drafts, idempotency, protocol
from trial.models import Site
from trial.roles import Permission, requires
from trial.unit_words import unit_said

_PLACE = "grid:"
_DAY_HEADERS = (
    "date",
    "day",
    "drawn on",
    "date of draw",
    "visit date",
    "visited on",
    "日期",
    "采血日期",
    "检查日期",
)
_MOST_DIGITS = 18


@requires(Permission.ENTER_CLINICAL_DATA)
def sheet(request: HttpRequest) -> HttpResponse:
    """Enter or correct the panels of many subjects of a site for one week."""
    if request.method == "GET" and "week" not in request.GET:
        kept = _draft_address(request)
        if kept:
            return redirect(kept)
    page = _Sheet(request)
    if request.method != "POST":
        return page.shown()
    if "check" in request.POST:
        return page.checked()
    return page.saved()


class _Sheet:
    """One showing of the sheet: who stands on it, and its form."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.site = self._site()
        self.kinds = [Kind(kind) for kind in address.some_of(request.GET, "show", list(Kind))] or list(Kind)
        number = address.number(request.GET, "page") or 1
        self.week = self._week()
        self.contents = grid.contents(request.user, self.site, self.week, self.kinds, number)
        if "week" not in request.GET:
            self.week = grid.busiest_week(self.contents.waiting_by_week)
            self.contents = grid.contents(request.user, self.site, self.week, self.kinds, number)
        self.laboratories = grid.laboratories(request.user, self.site)

    def _site(self) -> Site:
        mine = selectors.sites_for(self.request.user).order_by("code")
        asked = self.request.GET.get("site", "")
        if asked:
            mine = mine.filter(code=asked.replace("\x00", ""))
        elif self.request.user.site_id is not None:
            mine = mine.filter(pk=self.request.user.site_id)
        site = mine.first()
        if site is None:
            raise Http404
        return site

    def _week(self) -> int:
        if "week" not in self.request.GET:
            return protocol.BASELINE_WEEK
        week = _number(self.request.GET["week"], -1)
        if week not in protocol.VISIT_AT:
            raise Http404
        return week

    @property
    def place(self) -> str:
        """What names this form among everybody's drafts."""
        first = f"{_PLACE}{self.site.code}:{self.week}"
        return first if self.contents.page == 1 else f"{first}:{self.contents.page}"

    # --- the form ---------------------------------------------------------------------------

    def form(self, *, saved: frozenset[int] = frozenset(), only: set[int] | None = None) -> SheetForm:
        """Return the form over what the database holds now; a posted one has the rows it was sent with."""
        posted = self.request.POST if self.request.method == "POST" else None
        patients = self.contents.patients if posted is None else _posted_rows(posted.get(VERSIONS, ""))
        if only is not None:
            patients = [pk for pk in patients if pk in only]
        return SheetForm(
            posted,
            lines=grid.lines(self.request.user, self.site, self.week, patients),
            laboratories=self.laboratories,
            usual_laboratory=grid.usual_laboratory(self.site, self.laboratories),
            saved=saved,
        )

    def shown(self) -> HttpResponse:
        form = self.form()
        back = None
        if number := _number(self.request.GET.get("saved", ""), 0):
            back = grid.read_back(self.request.user, self.site, number)
        return self.page(form, back=back)

    def checked(self) -> HttpResponse:
        """Answer a page that asks about some of its rows; nothing is saved."""
        form = self.form(only=set(_posted_rows(self.request.POST["check"])))
        form.is_valid()
        return render(self.request, "patients/_grid_rows.html", self._row_context(form))

    def saved(self) -> HttpResponse:
        """Save every row that can be saved, and show the others with everything typed."""
        form = self.form()
        gone = set(_posted_rows(self.request.POST.get(VERSIONS, ""))) - {row.pk for row in form.rows}
        if gone:
            selectors.follow_given_up(self.request.user, gone)
        form.is_valid()
        if form.use_unit:
            return self.page(form, status=422)
        before = None
        with idempotency.once(self.request, by=self.request.user, source=SOURCE) as attempt:
            if attempt.earlier is not None:
                # sent again, where a part of it waits: what was saved then is not saved twice
                before = grid.read_back(self.request.user, self.site, attempt.earlier.pk)
            done = before.patients if before else frozenset()
            written = record_rows(
                rows=[self._entry(row, form) for row in form.to_save() if row.pk not in done],
                week=self.week,
                by=self.request.user,
                reason=form.reason_given(),
            )
        back = grid.read_back(self.request.user, self.site, written.id) if written.id else before
        # what the database holds now, and what it did not take
        left = self.form(saved=frozenset(written.saved) | done)
        left.is_valid()
        for row in left.rows:
            if row.pk in written.refused:
                row.add_problems(written.refused[row.pk])
            row.conflict = written.conflicts.get(row.pk)
        if left.waiting or left.errors or self._gone(left):
            return self.page(left, status=409 if written.conflicts else 422, back=back)
        return redirect(self._address(saved=back.revision.pk if back else ""))

    @staticmethod
    def _entry(row: SheetRow, form: SheetForm) -> RowEntry:
        is_day_mine = "visited_on" not in row.kept_theirs
        return RowEntry(
            patient=row.line.patient,
            entries=row.entries,
            visited_on=row.day if is_day_mine else None,
            laboratory=form.chosen_laboratory if row.other_laboratory is None else None,
            version=row.version,
            decided=row.kept_mine,
            kept=row.kept,
        )

    # --- the page ---------------------------------------------------------------------------

    def _address(self, **changes: Any) -> str:
        given = {"site": self.site.code, "week": self.week}
        pairs: list[tuple[str, Any]] = list(given.items())
        if len(self.kinds) < len(Kind):
            pairs += [("show", str(kind)) for kind in self.kinds]
        if self.contents.page > 1:
            pairs.append(("page", self.contents.page))
        pairs += [(name, value) for name, value in changes.items() if value != ""]
        return f"{reverse('patients:grid')}?{urlencode(pairs)}"

    def _row_context(self, form: SheetForm) -> dict[str, Any]:
        return {
            "form": form,
            "rows": form.rows,
            "columns": len(COLUMNS) + 2,
            "labels": {analyte.code: _(analyte.label) for analyte in COLUMNS},
            "week": self.week,
        }

    def page(self, form: SheetForm, *, status: int = 200, back: grid.ReadBack | None = None) -> HttpResponse:
        waiting = form.waiting if form.is_bound else []
        left = sum(len(row.touched) for row in waiting)
        values = back.values if back else 0
        context = self._row_context(form) | {
            "place": "patients",
            "site": self.site,
            "sites": selectors.sites_for(self.request.user).order_by("code"),
            "weeks": [(week, self.contents.waiting_by_week.get(week, 0)) for week in protocol.WEEKS],
            "toggles": [self._toggle(kind) for kind in Kind],
            "contents": self.contents,
            "more": [
                (number, f"{self._address()}&page={number}") for number in range(1, self.contents.pages + 1)
            ],
            "heads": [_head(analyte, form.units[analyte.code]) for analyte in COLUMNS],
            "subject_names": _names(SUBJECT.code, *SUBJECT.aliases),
            "day_names": _names(*_DAY_HEADERS),
            "laboratory_units": [(one, _units_of(one)) for one in self.laboratories],
            "suggested": self.request.POST.get(SUGGESTED)
            or next((f"{row.line.suggested_day}" for row in form.rows if row.line.suggested_day), ""),
            "gone": self._gone(form),
            "missing_reasons": [
                (number, missing_label(reason.code))
                for number, reason in enumerate(protocol.MISSING_REASONS, start=1)
            ],
            "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
            "has_stored": any(row.line.stored for row in form.rows),
            "draft_place": self.place,
            "check_url": self.request.get_full_path(),
            "back": back,
            "back_subjects": len(back.patients) if back else 0,
            "all_subjects": (len(back.patients) if back else 0) + len(waiting),
            "back_values": values,
            "all_values": values + left,
            "waits": len(waiting),
            "key": idempotency.key_of(self.request),
            "key_field": idempotency.FIELD,
        }
        return render(self.request, "patients/grid.html", context, status=status)

    def _toggle(self, kind: Kind) -> dict[str, Any]:
        is_on = kind in self.kinds
        others = [one for one in Kind if (one in self.kinds) != (one is kind)] or list(Kind)
        pairs = [("site", self.site.code), ("week", self.week)]
        pairs += [("show", str(one)) for one in others] if len(others) < len(Kind) else []
        return {
            "label": grid.KIND_LABELS[kind],
            "glyph": grid.GLYPHS[kind],
            "count": self.contents.by_kind[kind],
            "is_on": is_on,
            "url": f"?{urlencode(pairs)}",
        }

    def _gone(self, form: SheetForm) -> list[str]:
        """Return what was typed for subjects that are on no sheet of this person any more."""
        if not form.is_bound:
            return []
        here = {row.pk for row in form.rows}
        found = []
        for pk in _posted_rows(self.request.POST.get(VERSIONS, "")):
            if pk in here:
                continue
            typed = [
                f"{_(analyte.label)} {text}"
                for analyte in COLUMNS
                if (text := self.request.POST.get(f"c_{pk}_{analyte.code}", "").strip())
            ]
            if typed:
                found.append(", ".join(typed))
        return found


def _draft_address(request: HttpRequest) -> str:
    """Return the sheet on which this person typed last and did not save; empty when there is none."""
    kept = drafts.asked_for(request, request.user)
    known = [kept] if kept else drafts.of(request.user)
    draft = next((one for one in known if one.place.startswith(_PLACE)), None)
    if draft is None:
        return ""
    _name, site, week, *rest = [*draft.place.split(":"), "", ""]
    asked = {"site": site, "week": week}
    if request.GET.get("site", site) != site or _number(week, -1) not in protocol.VISIT_AT:
        return ""
    if rest[0]:
        asked["page"] = rest[0]
    if drafts.ASKED_FOR in request.GET:
        asked[drafts.ASKED_FOR] = request.GET[drafts.ASKED_FOR]
    return f"{reverse('patients:grid')}?{urlencode(asked)}"


def _head(analyte: protocol.Analyte, unit: str) -> dict[str, Any]:
    return {
        "analyte": analyte,
        "code": analyte.code,
        "unit": unit,
        "symbol": unit_said(unit),
        "names": _names(analyte.code, analyte.label, analyte.name, *analyte.aliases),
    }


def _names(*names: str) -> str:
    """Return the headers that name a column, as the page compares them."""
    return "|".join(dict.fromkeys(headers.plain(name) for name in names))


def _units_of(laboratory: Any) -> str:
    return " ".join(f"{one.analyte}={one.unit}" for one in laboratory.units.all())


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else otherwise


def _posted_rows(text: str) -> list[int]:
    """Return the subjects that a posted sheet names, each once and at most a full sheet."""
    numbers = [_number(part.partition(":")[0], 0) for part in text[:4000].split()]
    return [pk for pk in dict.fromkeys(numbers) if pk][: 2 * grid.ROWS]
