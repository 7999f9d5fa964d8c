"""Visits with their laboratory values: one row per visit (wide) or per value (long)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from patients.imports import doubts
from patients.imports.columns import Field
from patients.imports.kinds import (
    CELLS,
    LEFT_OUT,
    SUBJECT,
    Context,
    Kind,
    Pile,
    Warned,
    pile_sql,
    written_all,
)
from patients.imports.staging import PROBLEMS, Stage
from patients.imports.tables import Table
from patients.imports.visit_checks import (
    refuse_assumed_units,
    refuse_impossible,
    refuse_numbers_of_visits,
    say_assumed_units,
)
from patients.imports.visit_names import FINDINGS, LONG, ROWS, VALUES, VISIT_FIELDS
from patients.imports.visit_reader import VisitReader
from patients.models import Laboratory
from trial import protocol
from trial.sentences import Sentence

__all__ = ["LONG", "Visits"]


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


JUDGED = "import_visit"
JUDGED_VALUES = "import_lab"
_PLACE = "coalesce('W' || week, visited_on::text)"


class Visits(Kind):
    """Kind ``visits``."""

    name = "visits"
    fields = (
        SUBJECT,
        Field(
            "week",
            ("visit week", "visit", "weeks", "week no", "周", "周次", "访视周", "访视", "随访周", "随访",
             "访视名称", "随访名称", "visit name", "访视点", "随访点", "时间点", "访视时间点", "随访时间点", "timepoint", "time point"),
            required=True,
            units=("weeks", "周"),
        ),
        Field(
            "visit_date",
            ("date", "visited on", "date of visit", "sample date", "sampled on", "sampled at",
             "collection date", "collected on", "draw date", "drawn on", "lab date", "访视日期", "日期", "采样日期",
             "采血日期", "采集日期", "检验日期", "检查日期", "随访日期", "抽血日期", "lbdtc"),
        ),
        Field("analyte", ("test", "test code", "test name", "parameter", "lbtestcd", "检验项目", "项目", "指标", "项目名称",
                          "检测项目", "检验项目名称", "检验名称", "lab test", "laboratory test")),
        Field("value", ("result", "lbstresn", "lborres", "检验结果", "结果", "数值", "值", "结果值", "检测结果",
                        "测定结果")),
        Field("unit", ("units", "lborresu", "单位")),
        Field("comparator", ()),
        Field("missing", ("missing reason",)),
        Field("typed", ("as typed",)),
        Field("typed_unit", ("unit as typed",)),
        Field("unscheduled", ("计划外",)),
        Field("not_done", ("not done", "not done because", "未做", "未访视原因")),
        Field("ascites", ("腹水",)),
        Field("encephalopathy", ("hepatic encephalopathy", "west haven", "肝性脑病")),
        Field("note", ("visit note", "访视备注")),
        Field("laboratory", ("lab", "laboratory code", "检验科", "实验室")),
        Field("drawn_at", ("draw time", "time of draw", "采样时间", "采血时间", "采集时间", "抽血时间")),
    )  # fmt: skip
    dates = frozenset({"visit_date"})
    numbers = frozenset({"value"})
    analytes = True
    tables = {
        ROWS: "line integer, subject text, week smallint, visited_on date, not_done text, ascites text,"
        " encephalopathy text, note text, laboratory text, drawn_at timestamp",
        VALUES: "line integer, analyte text, value numeric, comparator text, typed_text text, typed_unit text,"
        " missing_reason text, assumed boolean",
    }
    judged = (CELLS, *doubts.TABLES, JUDGED_VALUES, JUDGED)

    def reader(self, table: Table, stage: Stage, context: Context) -> Callable[[int, list[str]], None]:
        return VisitReader(table, stage, context).read

    def after_staging(self, table: Table) -> None:
        """Look at units that were assumed, and say what was passed over.

        A file whose unnamed unit is plainly not the standard one is refused: its values would be wrong, not odd.
        """
        refuse_numbers_of_visits(table)
        refuse_assumed_units(table)
        say_assumed_units(table)
        for said, words in (
            (_("Read as no result, without a reason: %(words)s."), table.not_read.blanks),
            (
                _("Behind values, left out as marks of the laboratory: %(words)s."),
                table.not_read.marks,
            ),
        ):
            if words:
                table.facts.notices.append(Sentence(said, {"words": ", ".join(sorted(words))}))

    def check(self, table: Table, context: Context) -> None:
        refuse_impossible(table, context)

    def judge(self, context: Context) -> None:
        piles = ", ".join(
            pile_sql(f.here, f"r.{f.column}", f"{f.here} = r.{f.column}", f"'{f.code}'", "r.line")
            + f" AS {_pile_of(f.code)}, {f.here} AS here_{f.column}, r.{f.column}"
            for f in VISIT_FIELDS
        )
        # a coded reason is an entry like a value: a result replaces it only with consent
        here = "coalesce(trim_scale(l.value)::text, nullif(l.missing_reason, ''))"
        same = (
            "l.value IS NOT DISTINCT FROM s.value AND l.comparator = s.comparator"
            " AND l.missing_reason = s.missing_reason"
        )
        same_draw = (
            "(j.laboratory IS NULL OR l.laboratory_id = j.laboratory_id)"
            " AND (j.drawn_at IS NULL OR date_trunc('second', l.sampled_at) = j.drawn_at)"
        )
        # a value that stands here already may only learn which laboratory measured it, and when it was drawn
        learns = (
            f"({same}) AND NOT coalesce({same_draw}, false) AND (j.laboratory IS NULL OR l.laboratory_id IS NULL"
            " OR l.laboratory_id = j.laboratory_id) AND (j.drawn_at IS NULL OR l.sampled_at IS NULL"
            " OR date_trunc('second', l.sampled_at) = j.drawn_at)"
        )
        value_pile = (
            f"CASE WHEN l.id IS NOT NULL AND {learns} THEN {Pile.NEW.value} ELSE"
            f" {pile_sql(here, 's.analyte', f'({same}) AND coalesce({same_draw}, false)', 's.analyte', 's.line')} END"
        )
        drawn = "(SELECT ' · ' || {table}.code FROM patients_laboratory {table} WHERE {table}.id = {id})"
        differs = "l.laboratory_id <> j.laboratory_id"
        here_draw = (
            f"coalesce(CASE WHEN {differs} THEN {drawn.format(table='b', id='l.laboratory_id')} END, '')"
        )
        there_draw = f"coalesce(CASE WHEN {differs} THEN ' · ' || j.laboratory END, '')"
        with connection.cursor() as cursor:
            for name in self.judged[1:]:
                cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name} CASCADE")
            cursor.execute(
                f"CREATE TEMPORARY TABLE {JUDGED} AS SELECT r.line, r.subject, r.week,"
                " p.id AS patient_id, v.id AS visit_id, v.version AS visit_version, v.visited_on AS here_on,"
                " r.laboratory, b.id AS laboratory_id, r.drawn_at AT TIME ZONE h.time_zone AS drawn_at,"
                f" {piles} FROM {ROWS} r JOIN patients_patient p ON p.subject_id = r.subject"
                " JOIN trial_site h ON h.id = p.site_id LEFT JOIN patients_laboratory b ON b.code = r.laboratory"
                " LEFT JOIN patients_visit v ON v.patient_id = p.id AND v.voided_at IS NULL"
                " AND v.week IS NOT DISTINCT FROM r.week AND (r.week IS NOT NULL OR v.visited_on = r.visited_on)"
                f" WHERE NOT EXISTS (SELECT FROM {PROBLEMS} x WHERE x.line = r.line)",
                context.parameters,
            )
            cursor.execute(f"ANALYZE {JUDGED}")
            cursor.execute(
                f"CREATE TEMPORARY TABLE {JUDGED_VALUES} AS SELECT s.line, j.subject, j.patient_id, j.visit_id, j.week,"
                " j.visited_on, s.analyte, s.value, s.comparator, s.typed_text, s.typed_unit, s.missing_reason,"
                " j.laboratory, j.drawn_at,"
                f" l.id AS lab_id, l.version AS lab_version, l.comparator || {here} || {here_draw} AS here,"
                f" s.comparator || coalesce(trim_scale(s.value)::text, s.missing_reason) || {there_draw} AS there,"
                f" {value_pile} AS pile"
                f" FROM {VALUES} s JOIN {JUDGED} j USING (line)"
                " LEFT JOIN patients_labresult l ON l.visit_id = j.visit_id AND l.analyte = s.analyte"
                f" WHERE NOT EXISTS (SELECT FROM {LEFT_OUT} o WHERE o.line = s.line AND o.field = s.analyte)",
                context.parameters,
            )
            cursor.execute(f"ANALYZE {JUDGED_VALUES}")
            of_visit = "".join(
                f" UNION ALL SELECT line, subject, {_PLACE}, '{f.code}', here_{f.column}::text, {f.column}::text, '',"
                f" 'patients_visit', visit_id, {_pile_of(f.code)} FROM {JUDGED} WHERE {_pile_of(f.code)} IS NOT NULL"
                for f in VISIT_FIELDS
            )
            cursor.execute(
                f"CREATE TEMPORARY VIEW {CELLS} AS"
                f" SELECT line, subject, {_PLACE} AS place, '' AS field, NULL AS here, NULL AS there, '' AS said,"
                " 'patients_visit' AS in_table, visit_id AS in_row,"
                f" CASE WHEN visit_id IS NULL THEN {Pile.NEW.value} ELSE {Pile.SAME.value} END AS pile FROM {JUDGED}"
                f"{of_visit}"
                f" UNION ALL SELECT line, subject, {_PLACE}, analyte, here, there,"
                " trim(typed_text || ' ' || typed_unit), 'patients_labresult', lab_id, pile"
                f" FROM {JUDGED_VALUES}"
            )

    def write(self, context: Context) -> None:
        """Write visits, then values; a value carries the version of its visit, as a form's does."""
        with connection.cursor() as cursor:
            _found_laboratories(cursor)
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


def _pile_of(code: str) -> str:
    """Return the column that holds the pile of a field of the visit."""
    return f"{code.removeprefix('visit_')}_pile"


def _found_laboratories(cursor: Any) -> None:
    """Register the laboratories that the first file of an empty study names."""
    if Laboratory.objects.exists():
        return
    cursor.execute(
        "INSERT INTO patients_laboratory (code, name, is_active, version)"
        f" SELECT DISTINCT laboratory, laboratory, true, 1 FROM {JUDGED_VALUES}"
        " WHERE laboratory IS NOT NULL ORDER BY laboratory ON CONFLICT DO NOTHING"
    )


_NEW, _WRITTEN = Pile.NEW.value, (Pile.CHANGED.value, Pile.NEW.value)
_OF_VISIT = tuple(field.column for field in VISIT_FIELDS)
_GIVEN_WORDS = ", ".join(f"coalesce({name}, '')" for name in _OF_VISIT[1:])
_NEW_VISITS = (
    f"(SELECT patient_id, week, {', '.join(f'max({name}) AS {name}' for name in _OF_VISIT)}, min(line) AS line"
    f" FROM {JUDGED} WHERE visit_id IS NULL GROUP BY patient_id, week, CASE WHEN week IS NULL THEN visited_on END) n"
)
_WRITTEN_FIELDS = ", ".join(
    f"max(j.{f.column}) FILTER (WHERE j.{_pile_of(f.code)} IN {_WRITTEN}) AS {f.column}" for f in VISIT_FIELDS
)
_ANY_FIELD = " OR ".join(f"j.{_pile_of(f.code)} IN {_WRITTEN}" for f in VISIT_FIELDS)
_ANY_FINDING = " OR ".join(f"j.{code}_pile IN {_WRITTEN}" for code in FINDINGS)
_ANY_VALUE = f"EXISTS (SELECT FROM {JUDGED_VALUES} s WHERE s.line = j.line AND s.pile IN {_WRITTEN})"
_TOUCHED_VISITS = (
    f"(SELECT j.visit_id, j.visit_version, {_WRITTEN_FIELDS}, bool_or({_ANY_VALUE} OR {_ANY_FINDING}) AS took_place"
    f" FROM {JUDGED} j WHERE j.visit_id IS NOT NULL AND ({_ANY_FIELD} OR {_ANY_VALUE}) GROUP BY 1, 2) n"
)
_NEW_VALUES = f"{JUDGED_VALUES} n WHERE n.lab_id IS NULL AND n.pile = {_NEW}"
_REPLACED_VALUES = f"{JUDGED_VALUES} n WHERE n.lab_id IS NOT NULL AND n.pile IN {_WRITTEN}"
# results are stored in the order of the panel, as those of a form are
_PANEL = ", ".join(f"'{code}'" for code in protocol.ANALYTES)
_PANEL_PLACE = f"array_position(ARRAY[{_PANEL}], n.analyte)"
_LABORATORY_ID = "(SELECT b.id FROM patients_laboratory b WHERE b.code = n.laboratory)"
_WRITES = (
    (
        _NEW_VISITS,
        (
            f"INSERT INTO patients_visit (patient_id, week, {', '.join(_OF_VISIT)}, version)"
            f" SELECT patient_id, week, visited_on, {_GIVEN_WORDS}, 1"
            f" FROM {_NEW_VISITS} ORDER BY line ON CONFLICT DO NOTHING"
        ),
    ),
    (
        _TOUCHED_VISITS,
        (
            # results that come in later take it back that a visit was not done
            "UPDATE patients_visit v SET "
            + ", ".join(f"{name} = coalesce(n.{name}, v.{name})" for name in _OF_VISIT if name != "not_done")
            + ", not_done = CASE WHEN n.took_place THEN '' ELSE coalesce(n.not_done, v.not_done) END,"
            f" version = v.version + 1 FROM {_TOUCHED_VISITS} WHERE v.id = n.visit_id AND v.version = n.visit_version"
        ),
    ),
    (
        _NEW_VALUES,
        (
            "INSERT INTO patients_labresult (patient_id, visit_id, analyte, value, comparator, typed_text,"
            " typed_unit, missing_reason, laboratory_id, sampled_at, version)"
            " SELECT n.patient_id, v.id, n.analyte, n.value, n.comparator, n.typed_text, n.typed_unit,"
            f" n.missing_reason, {_LABORATORY_ID}, n.drawn_at, v.version FROM (SELECT * FROM {_NEW_VALUES}) n"
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
            f" laboratory_id = coalesce({_LABORATORY_ID}, l.laboratory_id),"
            " sampled_at = coalesce(n.drawn_at, l.sampled_at),"
            " version = (SELECT version FROM patients_visit WHERE id = l.visit_id)"
            f" FROM {_REPLACED_VALUES} AND l.id = n.lab_id AND l.version = n.lab_version"
        ),
    ),
)
"""How many rows a statement has to write, and the statement."""
