"""What rows of visits cannot be, looked at together and against the study."""

from __future__ import annotations

from decimal import Decimal

from django.db import connection

from patients.imports.columns import Role
from patients.imports.days import refuse_impossible_days, refuse_moments_to_come
from patients.imports.kinds import (
    Context,
    header_of,
    refuse_twins,
    refuse_unknown_subjects,
    say_how_twins_differ,
)
from patients.imports.lab_cells import plain_number
from patients.imports.problems import FileRefused
from patients.imports.staging import PROBLEMS, refuse_where
from patients.imports.tables import Table
from patients.imports.visit_names import FINDINGS, ROWS, VALUES, VISIT_FIELDS
from patients.models import Laboratory
from trial import protocol
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_FEWEST_TO_DOUBT_A_UNIT = 3
_FEWEST_TO_DOUBT_A_VISIT = 2


def refuse_assumed_units(table: Table) -> None:
    """Refuse a file whose unnamed unit is plainly not the standard one: its values would be wrong, not odd."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT analyte, percentile_disc(0.5) WITHIN GROUP (ORDER BY value) FROM {VALUES}"
            " WHERE assumed AND value IS NOT NULL GROUP BY analyte HAVING count(*) >= %s ORDER BY analyte",
            [_FEWEST_TO_DOUBT_A_UNIT],
        )
        for code, median in cursor.fetchall():
            analyte = protocol.ANALYTES[code]
            if analyte.soft.holds(median):
                continue
            for other in analyte.accepted:
                meant = analyte.in_standard_unit(median, other)
                if other != analyte.unit and analyte.soft.holds(meant):
                    raise _looks_like(table, analyte, median, other)


def refuse_numbers_of_visits(table: Table) -> None:
    """Refuse a file whose visits are numbered: the fourth visit would be read as week 4."""
    header = header_of(table, "week")
    if "week" in header.casefold() or "周" in header:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT value FROM {PROBLEMS} WHERE rule = 'week' AND field = %s"
            " AND value ~ '^ *[0-9]{1,2} *$' ORDER BY value",
            [header],
        )
        numbers = [value.strip() for (value,) in cursor.fetchall()]
    if len(numbers) >= _FEWEST_TO_DOUBT_A_VISIT:
        weeks = ", ".join(map(str, protocol.WEEKS))
        raise FileRefused(
            "visit_numbers",
            Sentence(
                _("“%(header)s” seems to number the visits: %(numbers)s are no weeks of the protocol."),
                {"header": header, "numbers": ", ".join(numbers)},
            ),
            Sentence(
                _("Write the week into each row (%(weeks)s), and name the column “week”."), {"weeks": weeks}
            ),
            columns=[header],
        )


def say_assumed_units(table: Table) -> None:
    """Say in which units results were read that the file names no unit for, where they could be in another."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT analyte FROM {VALUES} WHERE assumed AND value IS NOT NULL")
        assumed = {code for (code,) in cursor.fetchall()}
    units = [
        f"{analyte.code if _is_long(table) else header_of(table, analyte.code, Role.VALUE)} {analyte.unit_symbol}"
        for analyte in protocol.PANEL
        if analyte.code in assumed and len(set(analyte.accepted.values())) > 1
    ]
    if units:
        table.facts.notices.append(
            Sentence(
                _("Read in the unit of the study, because the file names none: %(units)s."),
                {"units": ", ".join(units)},
            )
        )


def refuse_impossible(table: Table, context: Context) -> None:
    """Refuse rows that a form would refuse, and rows that contradict each other."""
    refuse_unknown_subjects(ROWS, table, context)
    scheduled = "CASE WHEN week IS NULL THEN visited_on END"
    if _is_long(table):
        source = f"(SELECT r.*, v.analyte FROM {ROWS} r JOIN {VALUES} v USING (line))"
        lines = refuse_twins(
            ROWS, ("subject", "week", scheduled, "analyte"), table, ("subject_id", "week", "analyte"),
            source=f"{source} AS both_tables", results=VALUES,
        )  # fmt: skip
        _refuse_two_dates(table)
        for field in VISIT_FIELDS[1:]:
            _refuse_two_words(table, field.code)
    else:
        lines = refuse_twins(
            ROWS, ("subject", "week", scheduled), table, ("subject_id", "week"), results=VALUES
        )
    if lines:
        say_how_twins_differ(_staged_cells(lines))
    # a draw after a death is kept and asked about: which of the two days is wrong is for a person to say
    refuse_impossible_days(ROWS, "visited_on", table, "visit_date", but_for_deaths=True)
    _refuse_draws(table)
    _refuse_done_and_not_done(table)
    _refuse_laboratories(table)


def _is_long(table: Table) -> bool:
    return table.of(Role.FIELD, "analyte") is not None


def _looks_like(table: Table, analyte: protocol.Analyte, median: Decimal, other: str) -> FileRefused:
    header = header_of(table, "value" if _is_long(table) else analyte.code,
                       Role.FIELD if _is_long(table) else Role.VALUE)  # fmt: skip
    return FileRefused(
        "unit_not_said",
        Sentence(
            _(
                "%(analyte)s has no unit in this file and cannot be in %(unit)s: "
                "half of the values lie below %(median)s; in %(other)s they would be ordinary."
            ),
            {
                "analyte": Sentence(analyte.label),
                "unit": analyte.unit,
                "median": plain_number(median),
                "other": other,
            },
        ),
        Sentence(
            _("Name the unit in the header, for example “%(header)s (%(other)s)”, or in a column of units."),
            {"header": header, "other": other},
        ),
        columns=[header],
    )


def _refuse_two_dates(table: Table) -> None:
    refuse_where(
        "(SELECT *, count(visited_on) OVER same_visit AS dated, min(visited_on) OVER same_visit AS first_on,"
        f" max(visited_on) OVER same_visit AS last_on FROM {ROWS} WHERE week IS NOT NULL"
        " WINDOW same_visit AS (PARTITION BY subject, week)) s WHERE first_on < last_on",
        {},
        rule="two_dates",
        column=header_of(table, "visit_date"),
        value="s.visited_on::text",
        sentence=Sentence(
            _("The rows of this visit give different dates: %(first)s to %(last)s."),
        ),
        remedy=Sentence(_("Give all values of a visit one date, or another week.")),
        gaps={"first": "first_on::text", "last": "last_on::text"},
    )


def _refuse_two_words(table: Table, field: str) -> None:
    visit = "PARTITION BY subject, week, CASE WHEN week IS NULL THEN visited_on END"
    refuse_where(
        f"(SELECT *, min({field}) OVER same_visit AS one, max({field}) OVER same_visit AS other FROM {ROWS}"
        f" WINDOW same_visit AS ({visit})) s WHERE one < other AND {field} IS NOT NULL",
        {},
        rule="two_words",
        column=header_of(table, field),
        value=f"s.{field}",
        sentence=Sentence(_("The rows of this visit say both “%(one)s” and “%(other)s”.")),
        remedy=Sentence(_("Say the same in all rows of a visit, or in one alone.")),
        gaps={"one": "one", "other": "other"},
    )


def _refuse_draws(table: Table) -> None:
    """Refuse draws that are still to come, or that were not on the day of their visit."""
    refuse_moments_to_come(ROWS, "s.drawn_at", table, "drawn_at")
    refuse_where(
        f"{ROWS} s WHERE s.drawn_at::date <> s.visited_on",
        {},
        rule="drawn_on_another_day",
        column=header_of(table, "drawn_at"),
        value="s.drawn_at::text",
        sentence=Sentence(_("The draw is dated %(drawn)s, and the visit %(day)s.")),
        remedy=Sentence(_("Correct one of the two days.")),
        gaps={"drawn": "s.drawn_at::date::text", "day": "s.visited_on::text"},
    )


def _refuse_done_and_not_done(table: Table) -> None:
    header = header_of(table, "not_done")
    refuse_where(
        f"{ROWS} s WHERE s.not_done IS NOT NULL AND s.week IS NULL",
        {},
        rule="not_done_unplanned",
        column=header,
        value="s.not_done",
        sentence=Sentence(_("Only a visit of the protocol can be missed.")),
        remedy=Sentence(_("Give its week, or leave the row out.")),
    )
    refuse_where(
        f"{ROWS} s WHERE s.not_done = 'other' AND s.note IS NULL",
        {},
        rule="note_needed",
        column=header_of(table, "note"),
        value="''",
        sentence=Sentence(_("The cause “other” needs a note that says what it was.")),
        remedy=Sentence(_("Write it in a few words.")),
    )
    findings = " OR ".join(f"s.{code} IS NOT NULL" for code in FINDINGS)
    refuse_where(
        f"{ROWS} s WHERE s.not_done IS NOT NULL AND ({findings} OR EXISTS (SELECT FROM {ROWS} r JOIN {VALUES} v"
        " USING (line) WHERE r.subject = s.subject AND r.week = s.week) OR EXISTS (SELECT FROM patients_visit v"
        " JOIN patients_patient p ON p.id = v.patient_id JOIN patients_labresult l ON l.visit_id = v.id"
        " WHERE p.subject_id = s.subject AND v.week = s.week AND v.voided_at IS NULL))",
        {},
        rule="has_results",
        column=header,
        value="s.not_done",
        sentence=Sentence(_("This visit has results, so it did take place.")),
        remedy=Sentence(_("Empty the cell, or void the visit first when they belong to somebody else.")),
    )


def _refuse_laboratories(table: Table) -> None:
    """Refuse laboratories that are not registered, or that belong to another site; an empty study takes them over."""
    if not Laboratory.objects.exists():
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {ROWS} s SET laboratory = l.code FROM patients_laboratory l"
            " WHERE s.laboratory <> l.code AND lower(s.laboratory) IN (lower(l.code), lower(l.name))"
        )
    codes = ", ".join(Laboratory.objects.values_list("code", flat=True)[:12])
    refuse_where(
        f"{ROWS} s WHERE s.laboratory IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM patients_laboratory l WHERE l.code = s.laboratory)",
        {},
        rule="laboratory",
        column=header_of(table, "laboratory"),
        value="s.laboratory",
        sentence=Sentence(_("There is no laboratory %(laboratory)s.")),
        remedy=Sentence(_("The laboratories are: %(laboratories)s."), {"laboratories": codes}),
        gaps={"laboratory": "s.laboratory"},
    )
    refuse_where(
        f"{ROWS} s JOIN patients_laboratory l ON l.code = s.laboratory"
        " JOIN patients_patient p ON p.subject_id = s.subject WHERE l.site_id <> p.site_id",
        {},
        rule="other_laboratory",
        column=header_of(table, "laboratory"),
        value="s.laboratory",
        sentence=Sentence(_("%(laboratory)s is the laboratory of another site.")),
        remedy=Sentence(_("Name the laboratory of the subject's site, or one that serves all.")),
        gaps={"laboratory": "s.laboratory"},
    )


def _staged_cells(lines: list[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {line: {} for line in lines}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT line, 'visit_date', visited_on::text, '' FROM {ROWS} WHERE line = ANY(%(lines)s)"
            " AND visited_on IS NOT NULL UNION ALL SELECT line, analyte, coalesce(nullif(typed_text, ''), missing_reason),"
            f" typed_unit FROM {VALUES} WHERE line = ANY(%(lines)s)",
            {"lines": lines},
        )
        for line, name, text, unit in cursor.fetchall():
            usual = protocol.ANALYTES[name].unit if name in protocol.ANALYTES else ""
            found[line][name] = text if unit == usual else f"{text} {unit}".strip()
    return found
