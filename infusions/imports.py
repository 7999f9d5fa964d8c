"""Infusions in files: what was given, as far as the file tells."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, time
from decimal import ROUND_HALF_EVEN, Decimal

from django.db import connection

from infusions import dosing
from infusions.actions.agreement import ask_about_courses
from patients.actions.rules import LONGEST_NOTE
from patients.imports import cells
from patients.imports.columns import Field
from patients.imports.days import refuse_impossible_days
from patients.imports.kinds import (
    CELLS,
    SUBJECT,
    Context,
    Pile,
    refuse_twins,
    refuse_unknown_subjects,
    say_how_twins_differ,
)
from patients.imports.records import JUDGED, STAGED, RecordColumn, RecordKind, RecordReader, staged_cells
from patients.imports.staging import Stage
from patients.imports.tables import Table
from trial import typed
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


LIGHTEST, HEAVIEST = Decimal(25), Decimal(250)
FEWEST_CELLS_PER_KG = Decimal(1000)
"""Below this a dose per kg is surely written in millions."""
MOST_CELLS = Decimal(10) ** 13
MOST_VOLUME = Decimal(10_000)
_SUBJECTS_PER_PAGE = 2000


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
        Field("weight_kg", ("weight", "body weight", "体重", "体重kg")),
        Field("cells", ("cell count", "number of cells", "total cells", "cells given", "细胞数", "细胞总数", "细胞量")),
        Field("cells_per_kg", ("cells per kg", "cells/kg", "dose per kg", "每公斤细胞数", "细胞数/kg")),
        Field("volume_ml", ("volume", "volume ml", "体积", "输注体积", "输注量")),
        Field("started_at", ("start", "start time", "开始时间")),
        Field("stopped_at", ("stop", "end", "stop time", "end time", "结束时间")),
        Field("deviation", ("deviation code", "偏离")),
        Field("deviation_note", ("note on the deviation", "偏离说明")),
        Field("reaction", ("infusion reaction", "不良反应", "输注反应")),
        Field("lot", ("lot code", "lot number", "batch", "batch number", "batch id", "批号", "批次", "细胞批号")),
    )  # fmt: skip
    dates = frozenset({"given_on"})
    numbers = frozenset({"weight_kg", "cells", "cells_per_kg", "volume_ml"})
    tables = {
        STAGED: "line integer, subject text, number smallint, given_on date, weight_kg numeric(5,1),"
        " cells numeric(14,0), volume_ml numeric(6,1), lot text, started_at time, stopped_at time, deviation text,"
        " deviation_note text, reaction text"
    }
    target = "infusions_infusion"
    place = "'#' || j.number"
    key = (
        "JOIN patients_patient p ON p.subject_id = s.subject LEFT JOIN infusions_infusion t"
        " ON t.patient_id = p.id AND t.number = s.number AND t.voided_at IS NULL"
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
    )
    not_null = {"deviation": "''", "deviation_note": "''", "reaction": "''"}
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

    def write(self, context: Context) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO infusions_celllot (code, donor_code) SELECT DISTINCT lot, '' FROM {JUDGED}"
                " WHERE lot IS NOT NULL AND NOT EXISTS (SELECT FROM infusions_celllot c WHERE c.code = lot)"
                " ORDER BY lot ON CONFLICT DO NOTHING"
            )
        super().write(context)

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
        if count is None:
            per_kg = self.cell(line, row, "cells_per_kg", self._per_kg)
            if per_kg is not None and weight is not None:
                count = (per_kg * weight).quantize(Decimal(1), ROUND_HALF_EVEN)
        volume = self.cell(line, row, "volume_ml", self._volume)
        lot = self.cell(line, row, "lot", _lot)
        times = self._times(line, row)
        deviation = self.cell(line, row, "deviation", _deviation)
        note = self.words(line, row, "deviation_note", most=LONGEST_NOTE)
        if note and not deviation:
            self.refuse(line, "deviation_note", note, _NOTE_ALONE)
        reaction = self.words(line, row, "reaction", most=LONGEST_NOTE)
        if subject is not None and number is not None:
            self.stage_record(
                line, subject, number, given, weight, count, volume, lot, *times, deviation, note, reaction
            )

    def _times(self, line: int, row: list[str]) -> tuple[time | None, time | None]:
        started: time | None = self.cell(line, row, "started_at", typed.read_time)
        stopped: time | None = self.cell(line, row, "stopped_at", typed.read_time)
        if started is not None and stopped is not None and not dosing.is_duration_possible(started, stopped):
            self.refuse(line, "stopped_at", f"{stopped:%H:%M}", _STOPPED_FIRST)
        return started, stopped

    def _weight(self, text: str) -> Decimal:
        return self._within(text, LIGHTEST, HEAVIEST, _("a weight in kg"), Decimal("0.1"))

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


_NOTE_ALONE = Unreadable(
    "note_alone",
    "",
    Sentence(_("A note explains a deviation, but none is coded.")),
    Sentence(_("Code the deviation, or leave the note out.")),
)
_STOPPED_FIRST = Unreadable(
    "stopped_first",
    "",
    Sentence(_("The infusion stops before it starts.")),
    Sentence(_("Correct one of the times.")),
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


def _lot(text: str) -> str:
    code = unicodedata.normalize("NFKC", text).strip().upper()
    if not cells.SUBJECT_ID.fullmatch(code):
        raise Unreadable(
            "lot",
            text,
            Sentence(_("“%(value)s” is not a code of a lot."), {"value": typed.printable(text)}),
            Sentence(_("A code has up to 24 letters A to Z, digits, points and dashes.")),
        )
    return code
