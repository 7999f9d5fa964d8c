"""Visits with their laboratory values: one row per visit (wide) or per value (long)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection

from patients.imports import cells, doubts
from patients.imports.columns import Field, Role
from patients.imports.kinds import (
    CELLS,
    LEFT_OUT,
    SUBJECT,
    Context,
    Kind,
    Pile,
    Warned,
    header_of,
    pile_sql,
    refuse_twins,
    refuse_unknown_subjects,
    say_how_twins_differ,
    written_all,
)
from patients.imports.lab_cells import LabCells, Nothing, lab_cells, plain_number
from patients.imports.problems import FileRefused
from patients.imports.staging import NULL, PROBLEMS, Stage, refuse_where
from patients.imports.tables import Table
from trial import protocol
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


ROWS = "import_row"
VALUES = "import_value"
JUDGED = "import_visit"
JUDGED_VALUES = "import_lab"
_PLACE = "coalesce('W' || week, visited_on::text)"
LONG = frozenset({"analyte", "value", "unit", "comparator", "missing"})
_MOST_REMEMBERED = 200_000
_FEWEST_TO_DOUBT_A_UNIT = 3


class Visits(Kind):
    """Kind ``visits``."""

    name = "visits"
    fields = (
        SUBJECT,
        Field(
            "week",
            ("visit week", "visit", "weeks", "week no", "visitnum", "周", "周次", "访视周", "访视", "随访周", "随访"),
            required=True,
        ),
        Field(
            "visit_date",
            ("date", "visited on", "date of visit", "sample date", "sampled on", "sampled at",
             "collection date", "collected on", "draw date", "drawn on", "lab date", "访视日期", "日期", "采样日期",
             "采血日期", "采集日期", "检验日期", "检查日期", "随访日期"),
        ),
        Field("analyte", ("test", "test code", "test name", "parameter", "lbtestcd", "检验项目", "项目", "指标")),
        Field("value", ("result", "lbstresn", "lborres", "检验结果", "结果", "数值", "值")),
        Field("unit", ("units", "lborresu", "单位")),
        Field("comparator", ()),
        Field("missing", ("missing reason",)),
    )  # fmt: skip
    dates = frozenset({"visit_date"})
    numbers = frozenset({"value"})
    analytes = True
    tables = {
        ROWS: "line integer, subject text, week smallint, visited_on date",
        VALUES: "line integer, analyte text, value numeric, comparator text, typed_text text, typed_unit text,"
        " missing_reason text, assumed boolean",
    }
    judged = (CELLS, *doubts.TABLES, JUDGED_VALUES, JUDGED)

    def reader(self, table: Table, stage: Stage, context: Context) -> Callable[[int, list[str]], None]:
        return _VisitReader(table, stage, context).read

    def after_staging(self, table: Table) -> None:
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

    def check(self, table: Table, context: Context) -> None:
        refuse_unknown_subjects(ROWS, table, context)
        scheduled = "CASE WHEN week IS NULL THEN visited_on END"
        if _is_long(table):
            source = f"(SELECT r.*, v.analyte FROM {ROWS} r JOIN {VALUES} v USING (line))"
            lines = refuse_twins(
                ROWS, ("subject", "week", scheduled, "analyte"), table, ("subject_id", "week", "analyte"),
                source=f"{source} AS both_tables",
            )  # fmt: skip
            _refuse_two_dates(table)
        else:
            lines = refuse_twins(ROWS, ("subject", "week", scheduled), table, ("subject_id", "week"))
        if lines:
            say_how_twins_differ(_staged_cells(lines))
        _refuse_impossible_days(table)

    def judge(self, context: Context) -> None:
        date_pile = pile_sql(
            "v.visited_on", "r.visited_on", "v.visited_on = r.visited_on", "'visit_date'", "r.line"
        )
        # a coded reason is an entry like a value: a result replaces it only with consent
        here = "coalesce(trim_scale(l.value)::text, nullif(l.missing_reason, ''))"
        same = (
            "l.value IS NOT DISTINCT FROM s.value AND l.comparator = s.comparator"
            " AND l.missing_reason = s.missing_reason"
        )
        value_pile = pile_sql(here, "s.analyte", same, "s.analyte", "s.line")
        with connection.cursor() as cursor:
            for name in self.judged[1:]:
                cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name} CASCADE")
            cursor.execute(
                f"CREATE TEMPORARY TABLE {JUDGED} AS SELECT r.line, r.subject, r.week, r.visited_on,"
                " p.id AS patient_id, v.id AS visit_id, v.version AS visit_version, v.visited_on AS here_on,"
                f" {date_pile} AS date_pile FROM {ROWS} r JOIN patients_patient p ON p.subject_id = r.subject"
                " LEFT JOIN patients_visit v ON v.patient_id = p.id AND v.voided_at IS NULL"
                " AND v.week IS NOT DISTINCT FROM r.week AND (r.week IS NOT NULL OR v.visited_on = r.visited_on)"
                f" WHERE NOT EXISTS (SELECT FROM {PROBLEMS} x WHERE x.line = r.line)",
                context.parameters,
            )
            cursor.execute(f"ANALYZE {JUDGED}")
            cursor.execute(
                f"CREATE TEMPORARY TABLE {JUDGED_VALUES} AS SELECT s.line, j.subject, j.patient_id, j.visit_id, j.week,"
                " j.visited_on, s.analyte, s.value, s.comparator, s.typed_text, s.typed_unit, s.missing_reason,"
                f" l.id AS lab_id, l.version AS lab_version, l.comparator || {here} AS here, {value_pile} AS pile"
                f" FROM {VALUES} s JOIN {JUDGED} j USING (line)"
                " LEFT JOIN patients_labresult l ON l.visit_id = j.visit_id AND l.analyte = s.analyte"
                f" WHERE NOT EXISTS (SELECT FROM {LEFT_OUT} o WHERE o.line = s.line AND o.field = s.analyte)",
                context.parameters,
            )
            cursor.execute(f"ANALYZE {JUDGED_VALUES}")
            cursor.execute(
                f"CREATE TEMPORARY VIEW {CELLS} AS"
                f" SELECT line, subject, {_PLACE} AS place, '' AS field, NULL AS here, NULL AS there, '' AS said,"
                " 'patients_visit' AS in_table, visit_id AS in_row,"
                f" CASE WHEN visit_id IS NULL THEN {Pile.NEW.value} ELSE {Pile.SAME.value} END AS pile FROM {JUDGED}"
                f" UNION ALL SELECT line, subject, {_PLACE}, 'visit_date', here_on::text, visited_on::text, '',"
                f" 'patients_visit', visit_id, date_pile FROM {JUDGED} WHERE date_pile IS NOT NULL"
                f" UNION ALL SELECT line, subject, {_PLACE}, analyte, here,"
                " comparator || coalesce(trim_scale(value)::text, missing_reason),"
                " trim(typed_text || ' ' || typed_unit), 'patients_labresult', lab_id, pile"
                f" FROM {JUDGED_VALUES}"
            )

    def write(self, context: Context) -> None:
        """Write visits, then values; a value carries the version of its visit, as a form's does."""
        with connection.cursor() as cursor:
            for expected, statement in _WRITES:
                cursor.execute(f"SELECT count(*) FROM {expected}")
                (rows,) = cursor.fetchone()
                if rows:
                    cursor.execute(statement)
                    written_all(cursor, rows)

    def look(self) -> int:
        return doubts.look(JUDGED, JUDGED_VALUES)

    def warned(self, most: int | None = None) -> Iterator[Warned]:
        yield from doubts.warned(most)

    def ask(self, context: Context) -> None:
        doubts.ask(context.by)


_NEW, _WRITTEN = Pile.NEW.value, (Pile.CHANGED.value, Pile.NEW.value)
_NEW_VISITS = (
    f"(SELECT patient_id, week, max(visited_on) AS visited_on, min(line) AS line FROM {JUDGED}"
    " WHERE visit_id IS NULL GROUP BY patient_id, week, CASE WHEN week IS NULL THEN visited_on END) n"
)
_TOUCHED_VISITS = (
    "(SELECT j.visit_id, j.visit_version, max(j.visited_on) FILTER (WHERE j.date_pile IN"
    f" {_WRITTEN}) AS visited_on FROM {JUDGED} j WHERE j.visit_id IS NOT NULL AND (j.date_pile IN {_WRITTEN}"
    f" OR EXISTS (SELECT FROM {JUDGED_VALUES} s WHERE s.line = j.line AND s.pile IN {_WRITTEN})) GROUP BY 1, 2) n"
)
_NEW_VALUES = f"{JUDGED_VALUES} n WHERE n.lab_id IS NULL AND n.pile = {_NEW}"
_REPLACED_VALUES = f"{JUDGED_VALUES} n WHERE n.lab_id IS NOT NULL AND n.pile IN {_WRITTEN}"
# results are stored in the order of the panel, as those of a form are
_PANEL = ", ".join(f"'{code}'" for code in protocol.ANALYTES)
_PANEL_PLACE = f"array_position(ARRAY[{_PANEL}], n.analyte)"
_WRITES = (
    (
        _NEW_VISITS,
        (
            "INSERT INTO patients_visit (patient_id, week, visited_on, version)"
            f" SELECT patient_id, week, visited_on, 1 FROM {_NEW_VISITS} ORDER BY line ON CONFLICT DO NOTHING"
        ),
    ),
    (
        _TOUCHED_VISITS,
        (
            "UPDATE patients_visit v SET visited_on = coalesce(n.visited_on, v.visited_on), version = v.version + 1"
            f" FROM {_TOUCHED_VISITS} WHERE v.id = n.visit_id AND v.version = n.visit_version"
        ),
    ),
    (
        _NEW_VALUES,
        (
            "INSERT INTO patients_labresult (patient_id, visit_id, analyte, value, comparator, typed_text,"
            " typed_unit, missing_reason, version)"
            " SELECT n.patient_id, v.id, n.analyte, n.value, n.comparator, n.typed_text, n.typed_unit,"
            f" n.missing_reason, v.version FROM (SELECT * FROM {_NEW_VALUES}) n"
            " JOIN patients_visit v ON v.patient_id = n.patient_id AND v.voided_at IS NULL"
            " AND v.week IS NOT DISTINCT FROM n.week AND (n.week IS NOT NULL OR v.visited_on = n.visited_on)"
            f" ORDER BY n.line, {_PANEL_PLACE} ON CONFLICT DO NOTHING"
        ),
    ),
    (
        _REPLACED_VALUES,
        (
            "UPDATE patients_labresult l SET value = n.value, comparator = n.comparator, typed_text = n.typed_text,"
            " typed_unit = n.typed_unit, missing_reason = n.missing_reason,"
            " version = (SELECT version FROM patients_visit WHERE id = l.visit_id)"
            f" FROM {_REPLACED_VALUES} AND l.id = n.lab_id AND l.version = n.lab_version"
        ),
    ),
)
"""How many rows a statement has to write, and the statement."""


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
                "analyte": analyte.label,
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
            {"first": "", "last": ""},
        ),
        remedy=Sentence(_("Give all values of a visit one date, or another week.")),
        gaps={"first": "first_on::text", "last": "last_on::text"},
    )


def _refuse_impossible_days(table: Table) -> None:
    """Refuse days that have not come yet at the subject's site, before the birth or after the death."""
    header = header_of(table, "visit_date")
    at_site = (
        f"{ROWS} s JOIN patients_patient p ON p.subject_id = s.subject JOIN trial_site h ON h.id = p.site_id"
    )
    refuse_where(
        f"{at_site} WHERE s.visited_on > (now() AT TIME ZONE h.time_zone)::date",
        {},
        rule="future",
        column=header,
        value="s.visited_on::text",
        sentence=Sentence(_("%(day)s lies in the future."), {"day": ""}),
        remedy=Sentence(_("Give the day on which it happened.")),
        gaps={"day": "s.visited_on::text"},
    )
    refuse_where(
        f"{at_site} WHERE s.visited_on <= p.birth_date",
        {},
        rule="before_birth",
        column=header,
        value="s.visited_on::text",
        sentence=Sentence(_("%(day)s lies before the subject's birth."), {"day": ""}),
        remedy=Sentence(_("Correct the date, or the subject.")),
        gaps={"day": "s.visited_on::text"},
    )
    refuse_where(
        f"{at_site} JOIN patients_outcome o ON o.patient_id = p.id AND o.voided_at IS NULL AND o.kind = %(death)s"
        " WHERE s.visited_on > o.happened_on",
        {"death": protocol.OutcomeKind.DEATH.value},
        rule="after_death",
        column=header,
        value="s.visited_on::text",
        sentence=Sentence(_("%(day)s is after the death on %(died)s."), {"day": "", "died": ""}),
        remedy=Sentence(_("Correct the date, or the outcome first.")),
        gaps={"day": "s.visited_on::text", "died": "o.happened_on::text"},
    )


def _staged_cells(lines: list[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {line: {} for line in lines}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT line, 'visit_date', visited_on::text FROM {ROWS} WHERE line = ANY(%(lines)s)"
            f" AND visited_on IS NOT NULL UNION ALL SELECT line, analyte, coalesce(typed_text, missing_reason)"
            f" FROM {VALUES} WHERE line = ANY(%(lines)s)",
            {"lines": lines},
        )
        for line, name, text in cursor.fetchall():
            found[line][name] = text
    return found


# --- reading --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Lab:
    """Where the parts of one analyte stand in a row; -1 where the file has no such column."""

    cells: LabCells
    value: int
    unit: int = -1
    comparator: int = -1
    missing: int = -1


class _Remembered:
    """Reads texts that come again and again, each distinct one once."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self._known: dict[str, str | Unreadable] = {}

    def __call__(self, text: str) -> str | Unreadable:
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            try:
                found = self._read(text)
            except Unreadable as refusal:
                found = refusal
            self._known[text] = found
        return found


class _VisitReader:
    """Reads rows; keeps what is common to all of them out of the loop."""

    def __init__(self, table: Table, stage: Stage, context: Context) -> None:
        self._stage = stage
        self._rows, self._values = stage.waiting[ROWS], stage.waiting[VALUES]
        self._manner, self._today = table.manner, context.today
        self._place = {
            code: column.position if column else -1
            for code in ("subject_id", "week", "visit_date", *LONG)
            for column in [table.of(Role.FIELD, code)]
        }
        self._headers = [column.header if column else "" for column in table.columns]
        self._subject = _Remembered(cells.read_subject)
        self._week = _Remembered(lambda text: str(cells.read_week(text)))
        self._day = _Remembered(self._read_day)
        self._labs = _wide_labs(table)
        self._long: dict[str, _Lab] | None = {} if self._place["analyte"] >= 0 else None
        if self._long is not None and self._place["value"] < 0:
            raise FileRefused(
                "column_missing",
                Sentence(_("The file names analytes in a column, but none of its columns is the value.")),
                Sentence(_("Name the column “value”, or map it.")),
                columns=["value"],
            )

    def _read_day(self, text: str) -> str:
        day: date = cells.read_day(text, self._manner, self._today)
        return day.isoformat()

    def read(self, line: int, row: list[str]) -> None:
        place = self._place
        subject = self._subject(row[place["subject_id"]])
        week = self._week(row[place["week"]])
        at = place["visit_date"]
        day: str | Unreadable = NULL
        if at >= 0 and not cells.is_nothing(row[at]):
            day = self._day(row[at])
        for code, found in (("subject_id", subject), ("week", week), ("visit_date", day)):
            if isinstance(found, Unreadable):
                self._refuse(line, place[code], row, found)
        if week == str(cells.UNSCHEDULED):
            if day == NULL:
                self._refuse(line, at if at >= 0 else place["week"], row, _NO_DATE)
            week = NULL
        if isinstance(subject, str) and isinstance(week, str):
            kept = day if isinstance(day, str) else NULL
            self._rows.append(f"{line}\t{subject}\t{week}\t{kept}\n")
        if self._long is None:
            for lab in self._labs:
                self._value(line, row, lab)
        else:
            self._long_value(line, row, self._long)

    def _value(self, line: int, row: list[str], lab: _Lab) -> None:
        found = lab.cells.read(
            row[lab.value] if lab.value >= 0 else "",
            row[lab.unit] if lab.unit >= 0 else "",
            row[lab.comparator] if lab.comparator >= 0 else "",
            row[lab.missing] if lab.missing >= 0 else "",
        )
        if isinstance(found, str):
            self._values.append(f"{line}\t{found}")
        elif not isinstance(found, Nothing):
            self._refuse(line, lab.value if lab.value >= 0 else lab.missing, row, found)

    def _long_value(self, line: int, row: list[str], known: dict[str, _Lab]) -> None:
        text = row[self._place["analyte"]]
        lab = known.get(text)
        if lab is None:
            try:
                code = cells.read_analyte(text)
            except Unreadable as refusal:
                self._refuse(line, self._place["analyte"], row, refusal)
                return
            lab = known[text] = _Lab(
                lab_cells(code, "", self._manner),
                self._place["value"],
                self._place["unit"],
                self._place["comparator"],
                self._place["missing"],
            )
        self._value(line, row, lab)

    def _refuse(self, line: int, at: int, row: list[str], refusal: Unreadable) -> None:
        self._stage.refuse_cell(line, self._headers[at], row[at], refusal)


_NO_DATE = Unreadable(
    "no_date",
    "",
    Sentence(_("An unscheduled draw needs a date.")),
    Sentence(_("Give the day of the draw.")),
)


def _wide_labs(table: Table) -> list[_Lab]:
    labs = []
    for code in protocol.ANALYTES:
        value, missing = table.of(Role.VALUE, code), table.of(Role.MISSING, code)
        if value is None and missing is None:
            continue
        others = {
            role: column.position if (column := table.of(role, code)) else -1
            for role in (Role.UNIT, Role.COMPARATOR, Role.MISSING)
        }
        reader = lab_cells(code, value.unit if value else "", table.manner)
        place = value.position if value else -1
        labs.append(_Lab(reader, place, others[Role.UNIT], others[Role.COMPARATOR], others[Role.MISSING]))
    return labs
