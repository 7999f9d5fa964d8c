"""Infusions in files: what was given, as far as the file tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal

from django.db import connection

from infusions import dosing, import_vitals, weights
from infusions.actions.agreement import ask_about_courses
from infusions.particulars import LONGEST_OBSERVATION_DAYS
from patients.actions.rules import LONGEST_NOTE
from patients.imports import cells
from patients.imports.columns import Field
from patients.imports.days import refuse_impossible_days
from patients.imports.kinds import (
    CELLS,
    SUBJECT,
    Context,
    Pile,
    header_of,
    refuse_twins,
    refuse_unknown_subjects,
    say_how_twins_differ,
)
from patients.imports.problems import RowRules
from patients.imports.records import (
    JUDGED,
    STAGED,
    RecordColumn,
    RecordKind,
    RecordReader,
    moment_column,
    staged_cells,
)
from patients.imports.staging import Stage, refuse_where
from patients.imports.tables import Table
from patients.imports.words import VEINS, moment, narrow
from trial import typed
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


FEWEST_CELLS_PER_KG = Decimal(1000)
"""Below this a dose per kg is surely written in millions."""
MOST_CELLS = Decimal(10) ** 13
MOST_VOLUME = Decimal(10_000)
MOST_REACTION = 5
MOST_APART = Decimal("0.05")
"""How far a rounded dose per kg may lead from the number of cells."""
_SUBJECTS_PER_PAGE = 2000


_OF_SUBJECT = (
    "LEFT JOIN infusions_infusion t ON t.patient_id = p.id AND t.number = s.number AND t.voided_at IS NULL"
)
_LONGEST = {"bag": 24, "interruption": 200, "checked_by": 80}
_SAID_WORDS = ("deviation", "deviation_note", "reaction", "vein", "bag", "interruption", "checked_by")


class Infusions(RecordKind):
    """Kind ``infusions``."""

    name = "infusions"
    fields = (
        SUBJECT,
        Field(
            "number",
            ("infusion", "infusion number", "infusion no", "no", "nr", "dose number", "输注次数", "输注序号", "次数",
             "第几次"),
            required=True,
        ),
        Field(
            "given_on",
            ("given", "date", "date given", "infusion date", "infused on", "treatment date", "输注日期", "回输日期",
             "治疗日期", "日期"),
            required=True,
        ),
        Field("weight_kg", ("weight", "body weight", "体重", "体重kg"), units=("kg", "公斤", "千克")),
        Field("cells", ("cell count", "number of cells", "total cells", "cells given", "细胞数", "细胞总数", "细胞量"),
              units=("cells", "个")),
        Field("cells_per_kg", ("cells per kg", "cells/kg", "dose per kg", "每公斤细胞数", "细胞数/kg")),
        Field("volume_ml", ("volume", "volume ml", "体积", "输注体积", "输注量"), units=("ml", "毫升")),
        Field("started_at", ("start", "start time", "开始时间")),
        Field("stopped_at", ("stop", "end", "stop time", "end time", "结束时间")),
        Field("deviation", ("deviation code", "偏离")),
        Field("deviation_note", ("note on the deviation", "偏离说明")),
        Field("reaction", ("infusion reaction", "不良反应", "输注反应")),
        Field("reaction_grade", ("grade of the reaction", "reaction grade", "反应分级", "输注反应分级")),
        Field("vein", ("access", "venous access", "静脉通路", "输注静脉", "静脉")),
        Field("bag", ("bag number", "bag no", "unit number", "袋号")),
        Field("interruption", ("interrupted", "输注中断", "中断")),
        Field("observed_until", ("observed until", "end of observation", "观察至", "观察截止时间")),
        Field("checked_by", ("identity checked by", "核对者", "核对人")),
        *import_vitals.FIELDS,
        Field("lot", ("lot code", "lot number", "batch", "batch number", "batch id", "批号", "批次", "细胞批号")),
    )  # fmt: skip
    dates = frozenset({"given_on"})
    numbers = frozenset({"weight_kg", "cells", "cells_per_kg", "volume_ml", "reaction_grade"})
    tables = {
        STAGED: "line integer, subject text, number smallint, given_on date, weight_kg numeric(5,1),"
        " cells numeric(14,0), volume_ml numeric(6,1), lot text, started_at time, stopped_at time, deviation text,"
        " deviation_note text, reaction text, reaction_grade smallint, vein text, bag text, interruption text,"
        f" observed_until timestamp, checked_by text, {import_vitals.STAGED_COLUMNS}"
    }
    target = "infusions_infusion"
    place = "'#' || j.number"
    key = (
        "JOIN patients_patient p ON p.subject_id = s.subject JOIN trial_site h ON h.id = p.site_id"
        f" {_OF_SUBJECT} {import_vitals.STORED}"
    )
    keys = ("subject", "number")
    columns = (
        RecordColumn("given_on", "date", "given_on"),
        RecordColumn("weight_kg", "numeric", "weight_kg"),
        RecordColumn("cells", "numeric", "cells"),
        RecordColumn("volume_ml", "numeric", "volume_ml"),
        RecordColumn(
            "lot",
            "text",
            "lot_id",
            here="(SELECT code FROM infusions_celllot WHERE id = t.lot_id)",
            written="(SELECT id FROM infusions_celllot WHERE code = j.lot)",
        ),
        RecordColumn("started_at", "time", "started_at"),
        RecordColumn("stopped_at", "time", "stopped_at"),
        RecordColumn("deviation", "text", "deviation"),
        RecordColumn("deviation_note", "text", "deviation_note"),
        RecordColumn("reaction", "text", "reaction"),
        RecordColumn("reaction_grade", "numeric", "reaction_grade"),
        RecordColumn("vein", "text", "vein"),
        RecordColumn("bag", "text", "bag"),
        RecordColumn("interruption", "text", "interruption"),
        moment_column("observed_until"),
        RecordColumn("checked_by", "text", "checked_by"),
        *import_vitals.COLUMNS,
    )
    not_null = dict.fromkeys(_SAID_WORDS, "''")
    defaults = {
        "patient_id": "(SELECT id FROM patients_patient WHERE subject_id = j.subject)",
        "number": "j.number",
        "version": "1",
    }

    def reader(self, table: Table, stage: Stage, context: Context) -> Callable[[int, list[str]], None]:
        return _InfusionReader(table, stage, context).read

    def check(self, table: Table, context: Context) -> None:
        refuse_unknown_subjects(STAGED, table, context)
        lines = refuse_twins(STAGED, self.keys, table, ("subject_id", "number"))
        if lines:
            say_how_twins_differ(staged_cells(lines))
        refuse_impossible_days(STAGED, "given_on", table, "given_on")
        _refuse_impossible_observation(table)
        _refuse_grade_alone(table)

    def write(self, context: Context) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO infusions_celllot (code, donor_code) SELECT DISTINCT lot, '' FROM {JUDGED}"
                " WHERE lot IS NOT NULL AND NOT EXISTS (SELECT FROM infusions_celllot c WHERE c.code = lot)"
                " ORDER BY lot ON CONFLICT DO NOTHING"
            )
        super().write(context)
        import_vitals.write()

    def ask(self, context: Context) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM patients_patient WHERE subject_id IN (SELECT subject FROM {CELLS} WHERE pile IN (%s, %s))"
                " ORDER BY id",
                [Pile.CHANGED.value, Pile.NEW.value],
            )
            patients = [patient for (patient,) in cursor.fetchall()]
        for start in range(0, len(patients), _SUBJECTS_PER_PAGE):
            ask_about_courses(patients[start : start + _SUBJECTS_PER_PAGE], by=context.by)


class _InfusionReader(RecordReader):
    def __init__(self, table: Table, stage: Stage, context: Context) -> None:
        super().__init__(table, stage, context)
        self._per_kg_in_millions = any(
            sign in self.header("cells_per_kg") for sign in ("10^6", "10⁶", "million", "百万")
        )

    def read(self, line: int, row: list[str]) -> None:
        subject = self.required(line, row, "subject_id", cells.read_subject)
        number = self.required(line, row, "number", cells.read_infusion_number)
        given: date | None = self.required(line, row, "given_on", self.past_day)
        weight = self.cell(line, row, "weight_kg", self._weight)
        count = self.cell(line, row, "cells", self._cells)
        per_kg = self.cell(line, row, "cells_per_kg", self._per_kg)
        if per_kg is not None and not self.text(row, "weight_kg") and not self.text(row, "cells"):
            self.refuse(line, "cells_per_kg", self.text(row, "cells_per_kg"), _WRONG("no_weight"))
        elif per_kg is not None and weight is not None:
            counted = (per_kg * weight).quantize(Decimal(1), ROUND_HALF_EVEN)
            if count is None:
                count = counted
            elif abs(counted - count) > count * MOST_APART:
                self.refuse(line, "cells_per_kg", self.text(row, "cells_per_kg"), _WRONG("other_count"))
        volume = self.cell(line, row, "volume_ml", self._volume)
        lot = self.cell(line, row, "lot", _lot)
        times = self._times(line, row)
        deviation = self.cell(line, row, "deviation", _deviation)
        note = self.words(line, row, "deviation_note", most=LONGEST_NOTE)
        if note and not deviation:
            self.refuse(line, "deviation_note", note, _WRONG("note_alone"))
        reaction = self.words(line, row, "reaction", most=LONGEST_NOTE)
        grade: int | None = self.cell(line, row, "reaction_grade", _reaction_grade)
        vein = self.cell(line, row, "vein", VEINS.read)
        texts = {code: self.words(line, row, code, most=most) for code, most in _LONGEST.items()}
        until: datetime | None = self.cell(line, row, "observed_until", self._moment)
        signs = import_vitals.read(self, line, row)
        if subject is not None and number is not None:
            self.stage_record(
                line, subject, number, given, weight, count, volume, lot, *times, deviation, note, reaction, grade, vein,
                texts["bag"], texts["interruption"], until, texts["checked_by"], *signs,
            )  # fmt: skip

    def _moment(self, text: str) -> datetime:
        return moment(text, self.day)

    def _times(self, line: int, row: list[str]) -> tuple[time | None, time | None]:
        started: time | None = self.cell(line, row, "started_at", typed.read_time)
        stopped: time | None = self.cell(line, row, "stopped_at", typed.read_time)
        if started is not None and stopped is not None and not dosing.is_duration_possible(started, stopped):
            self.refuse(line, "stopped_at", f"{stopped:%H:%M}", _WRONG("stopped_first"))
        return started, stopped

    def _weight(self, text: str) -> Decimal:
        return self._within(text, weights.LEAST, weights.MOST, _("a weight in kg"), Decimal("0.1"))

    def _volume(self, text: str) -> Decimal:
        return self._within(text, Decimal("0.1"), MOST_VOLUME, _("a volume in mL"), Decimal("0.1"))

    def _cells(self, text: str) -> Decimal:
        return self._within(text, Decimal(1), MOST_CELLS, _("a number of cells"), Decimal(1))

    def _per_kg(self, text: str) -> Decimal:
        value = self.exact(text)
        if self._per_kg_in_millions:
            return value * 1_000_000
        if value < FEWEST_CELLS_PER_KG:
            raise Unreadable(
                "cells_per_kg",
                text,
                Sentence(_("%(value)s cells per kg is not a dose."), {"value": typed.printable(text)}),
                Sentence(_("If it is in millions, name the column “cells_per_kg (10^6/kg)”.")),
            )
        return value

    def _within(self, text: str, low: Decimal, high: Decimal, what: str, quantum: Decimal) -> Decimal:
        value = self.exact(text)
        if not low <= value <= high:
            raise Unreadable(
                "limit",
                text,
                Sentence(
                    _("“%(value)s” is not %(what)s."),
                    {"value": typed.printable(text), "what": Sentence(what)},
                ),
                Sentence(_("It lies between %(low)s and %(high)s."), {"low": str(low), "high": f"{high:f}"}),
            )
        if value != value.quantize(quantum):
            raise Unreadable(
                "too_many_decimals",
                text,
                Sentence(_("“%(value)s” has more decimals than are kept."), {"value": typed.printable(text)}),
                Sentence(_("Round it to %(quantum)s."), {"quantum": str(quantum)}),
            )
        return value


def _refuse_impossible_observation(table: Table) -> None:
    """Refuse an observation that ends before the infusion or long after it, as the form does."""
    begun = "(s.given_on + coalesce(s.started_at, t.started_at, '00:00'::time))"
    refuse_where(
        f"(SELECT s.line, s.observed_until, s.given_on FROM {STAGED} s JOIN patients_patient p"
        f" ON p.subject_id = s.subject {_OF_SUBJECT} WHERE s.observed_until NOT BETWEEN {begun}"
        f" AND {begun} + %(most)s * interval '1 day') s",
        {"most": LONGEST_OBSERVATION_DAYS},
        rule="observed_until",
        column=header_of(table, "observed_until"),
        value="to_char(s.observed_until, 'YYYY-MM-DD HH24:MI')",
        sentence=Sentence(
            _("Observed until %(until)s, but the infusion was on %(on)s."), {"until": "", "on": ""}
        ),
        remedy=Sentence(
            _("Give a time up to %(most)s days after the infusion."), {"most": LONGEST_OBSERVATION_DAYS}
        ),
        gaps={"until": "to_char(s.observed_until, 'YYYY-MM-DD HH24:MI')", "on": "s.given_on::text"},
    )


def _refuse_grade_alone(table: Table) -> None:
    """Refuse the grade of a reaction that nobody describes."""
    refuse_where(
        f"(SELECT s.line, s.reaction_grade FROM {STAGED} s JOIN patients_patient p ON p.subject_id = s.subject"
        f" {_OF_SUBJECT} WHERE s.reaction_grade > 0 AND coalesce(s.reaction, t.reaction, '') = '') s",
        {},
        rule="grade_alone",
        column=header_of(table, "reaction_grade"),
        value="s.reaction_grade::text",
        sentence=Sentence(_("A grade belongs to a reaction, and none is described.")),
        remedy=Sentence(_("Say what it was, or empty the grade.")),
    )


_WRONG = RowRules(
    {
        "no_weight": (
            _("Cells per kg say no number of cells without a weight."),
            _("Give the weight, or the number of cells."),
        ),
        "other_count": (
            _("The number of cells is not what the cells per kg and the weight amount to."),
            _("Correct the one that is wrong."),
        ),
        "note_alone": (
            _("A note explains a deviation, but none is coded."),
            _("Code the deviation, or leave the note out."),
        ),
        "stopped_first": (_("The infusion stops before it starts."), _("Correct one of the times.")),
    }
)


def _deviation(text: str) -> str:
    code = text.strip().casefold()
    if code not in dosing.DEVIATION_AT:
        raise Unreadable(
            "deviation",
            text,
            Sentence(_("“%(value)s” is not a coded deviation."), {"value": typed.printable(text)}),
            Sentence(_("Write one of: %(words)s."), {"words": ", ".join(dosing.DEVIATION_AT)}),
        )
    return code


def _reaction_grade(text: str) -> int:
    written = narrow(text)
    if written not in {str(grade) for grade in range(MOST_REACTION + 1)}:
        raise Unreadable(
            "grade",
            text,
            Sentence(_("“%(value)s” is not the grade of a reaction."), {"value": typed.printable(text)}),
            Sentence(_("A grade is a whole number from 0 to %(most)s."), {"most": MOST_REACTION}),
        )
    return int(written)


def _lot(text: str) -> str:
    code = narrow(text).upper()
    if not cells.SUBJECT_ID.fullmatch(code):
        raise Unreadable(
            "lot",
            text,
            Sentence(_("“%(value)s” is not a code of a lot."), {"value": typed.printable(text)}),
            Sentence(_("A code has up to 24 letters A to Z, digits, points and dashes.")),
        )
    return code
