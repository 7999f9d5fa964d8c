"""Facts of screenings in files: value, unit, day and source of each, in columns of their own.

A file says a fact as a whole: value, unit and day belong together, so that they are
judged, replaced and refused together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection

from patients import facts, screenings, selectors
from patients.actions.eligibility import follow_facts
from patients.edit_checks import Life
from patients.facts import FACTS, Fact, FactEntry, Kind
from patients.imports import cells
from patients.imports.columns import Field, Role
from patients.imports.days import refuse_impossible_days
from patients.imports.kinds import Context, Pile
from patients.imports.problems import RowRules, typed_differs
from patients.imports.records import JUDGED, STAGED, RecordColumn, RecordReader
from patients.imports.tables import Table
from patients.imports.words import ANSWERS, FACT_SOURCES, free_text
from patients.models import Screening
from patients.rules import analyte_of
from trial import protocol, typed, units
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


MOST_TYPED = 64
_NUMBERS = frozenset({Kind.LAB, Kind.MEASURE, Kind.GRADE})
_WRITTEN = (Pile.CHANGED.value, Pile.NEW.value)


def column_of(fact: Fact, part: str = "") -> str:
    """Return the column of a file that holds a fact, or a part of it.

    Parameters
    ----------
    fact
        Which one.
    part
        ``typed``, ``unit``, ``on``, ``never`` or ``source``; the value when empty.

    Examples
    --------
    >>> column_of(facts.FACT_AT["tbil"]), column_of(facts.FACT_AT["ascites_on"], "never")
    ('fact_tbil', 'fact_ascites_never')
    """
    return "_".join(filter(None, ("fact", fact.code.removesuffix("_on"), part)))


def parts_of(fact: Fact) -> tuple[str, ...]:
    """Return the parts that a fact has in a file, in their order."""
    value = ("", "typed") if fact.kind in _NUMBERS else ("",) if fact.has_value else ()
    unit = ("unit",) if fact.kind is Kind.LAB else ()
    day = ("on",) if fact.has_day else ()
    never = ("never",) if fact.kind is Kind.SINCE else ()
    return (*value, *unit, *day, *never, "source")


FIELDS = tuple(Field(column_of(fact, part)) for fact in FACTS for part in parts_of(fact))
DATES = frozenset(column_of(fact, "on") for fact in FACTS if fact.has_day)
STAGED_COLUMNS = ", ".join([*(f"said_{fact.code} text" for fact in FACTS), "facts jsonb"])
COLUMNS = tuple(RecordColumn(f"said_{fact.code}", "text", "", here=f"f.{fact.code}") for fact in FACTS)
_IN_WORDS = (
    "concat_ws(' ', nullif(x.typed_text, ''), nullif(x.typed_unit, ''), x.happened_on, nullif(x.source, ''))"
)
STORED = (
    "LEFT JOIN LATERAL (SELECT "
    + ", ".join(f"max({_IN_WORDS}) FILTER (WHERE x.fact = '{fact.code}') AS {fact.code}" for fact in FACTS)
    + " FROM patients_screeningfact x WHERE x.screening_id = t.id) f ON true"
)
"""Joins what the study has of a screening ``t``, each fact in words."""


# --- one row --------------------------------------------------------------------------------


def read(reader: RecordReader, line: int, row: list[str], screened: date | None) -> dict[str, FactEntry]:
    """Return the facts that a row says; what cannot be is noted, as the form has it."""
    found: dict[str, FactEntry] = {}
    for fact in FACTS:
        if not any(reader.text(row, column_of(fact, part)) for part in parts_of(fact)):
            continue
        entry = _entry(reader, line, row, fact)
        if entry is None:
            continue
        if entry.is_empty:
            part = next(part for part in parts_of(fact) if reader.text(row, column_of(fact, part)))
            reader.refuse(
                line,
                column_of(fact, part),
                reader.text(row, column_of(fact, part)),
                _WRONG("fact_without_value"),
            )
            continue
        # birth and death are held against the days by queries over all rows
        for breach in facts.breaches(entry, screened_on=screened, life=Life(today=reader.today)):
            refusal = Unreadable(breach.rule, "", breach.sentence, breach.remedy)
            reader.refuse(
                line, _column_in_question(fact), entry.typed_text or str(entry.happened_on), refusal
            )
        found[fact.code] = entry
    return found


def _column_in_question(fact: Fact) -> str:
    return column_of(fact, "" if fact.has_value else "on")


def _entry(reader: RecordReader, line: int, row: list[str], fact: Fact) -> FactEntry | None:
    """Return a fact; None where one of its cells cannot be read."""
    was = reader.refused
    reader.refused = False
    day: date | None = reader.cell(line, row, column_of(fact, "on"), reader.past_day)
    source: str | None = reader.cell(line, row, column_of(fact, "source"), FACT_SOURCES.read)
    value, text, unit = None, "", ""
    if fact.kind in _NUMBERS:
        value, text, unit = _number(reader, line, row, fact)
    elif fact.kind is Kind.SIGN:
        answer: str | None = reader.cell(line, row, column_of(fact), ANSWERS.read)
        if answer is not None:
            value, text = (facts.YES if answer == "yes" else facts.NO), answer
    elif fact.kind is Kind.SINCE and reader.cell(line, row, column_of(fact, "never"), ANSWERS.read) == "yes":
        value, text = facts.NO, "0"
        if day is not None:
            reader.refuse(line, column_of(fact, "never"), "yes", _WRONG("never_and_since"))
    could, reader.refused = not reader.refused, was or reader.refused
    if not could:
        return None
    return facts.stored_entry(fact.code, value, text, unit, day, source or "")


def _number(reader: RecordReader, line: int, row: list[str], fact: Fact) -> tuple[Decimal | None, str, str]:
    """Return value, text and unit as typed; where the file has both value and text, they have to agree."""
    said = reader.cell(line, row, column_of(fact, "unit"), lambda text: _unit(fact, text))
    as_typed = reader.cell(line, row, column_of(fact, "typed"), lambda text: free_text(text, most=MOST_TYPED))
    shown = reader.cell(line, row, column_of(fact), lambda text: cells.read_decimal(text, reader.manner))
    if as_typed is None and shown is None:
        return None, "", said or ""
    try:
        number = shown if as_typed is None else typed.read_number(as_typed)
    except Unreadable as refusal:
        reader.refuse(line, column_of(fact, "typed"), as_typed, refusal)
        return None, "", ""
    unit = said or number.unit or _standard_unit(fact)
    if (number.unit is not None and number.unit != unit) or (fact.units and unit not in fact.units):
        reader.refuse(line, column_of(fact), number.text, _wrong_unit(fact, number.unit or unit))
        return None, "", ""
    if fact.kind is not Kind.LAB and number.comparator:
        reader.refuse(line, column_of(fact), number.text, _WRONG("plain"))
    entry = FactEntry(fact=fact.code, value=number.value, typed_text=number.text, typed_unit=unit)
    if as_typed is not None and shown is not None and _kept(entry.standard_value) != _kept(shown.value):
        reader.refuse(line, column_of(fact), shown.text, typed_differs(shown.text, as_typed))
    return number.value, number.text, unit


def _standard_unit(fact: Fact) -> str:
    if fact.kind is Kind.LAB:
        return protocol.ANALYTES[analyte_of(fact.code)].unit
    return fact.units[0] if fact.units else ""


def _kept(value: Decimal | None) -> Decimal:
    return (value or Decimal(0)).quantize(Decimal(1).scaleb(-units.STORED_PLACES))


def _unit(fact: Fact, text: str) -> str:
    unit = typed.read_unit(text)
    if unit not in fact.units:
        raise _wrong_unit(fact, text)
    return str(unit)


def _wrong_unit(fact: Fact, text: str) -> Unreadable:
    return Unreadable(
        "unit_not_accepted",
        text,
        Sentence(
            _("“%(unit)s” is not a unit of %(analyte)s."),
            {"unit": typed.printable(text), "analyte": Sentence(fact.label)},
        ),
        Sentence(_("Write one of: %(units)s."), {"units": ", ".join(fact.units)}),
    )


_WRONG = RowRules(
    {
        "plain": (
            _("It is not a plain number."),
            _("Type the number alone, without a sign or a unit."),
        ),
        "never_and_since": (
            _("The row gives a day and says that it never was."),
            _("Empty one of the two cells."),
        ),
        "fact_without_value": (
            _("The fact has neither a value nor a day."),
            _("Give the value with its day, or empty the cells of this fact."),
        ),
    }
)


def staged(found: Mapping[str, FactEntry]) -> Iterator[str | None]:
    """Yield the columns of the stage: each fact in words as the study says it, then all of them to be stored."""
    for fact in FACTS:
        entry = found.get(fact.code)
        yield (
            None
            if entry is None
            else " ".join(
                filter(
                    None,
                    (
                        entry.typed_text,
                        entry.typed_unit,
                        entry.happened_on.isoformat() if entry.happened_on else "",
                        entry.source,
                    ),
                )
            )
        )
    yield json.dumps({code: _stored(entry) for code, entry in found.items()}, ensure_ascii=False)


def _stored(entry: FactEntry) -> dict[str, str | None]:
    value = entry.standard_value
    return {
        "value": None if value is None else f"{value:f}",
        "text": entry.typed_text,
        "unit": entry.typed_unit,
        "on": entry.happened_on.isoformat() if entry.happened_on else None,
        "source": entry.source,
    }


def entries(stored: Any) -> dict[str, FactEntry]:
    """Return the facts of a staged row as they were handed in."""
    rows = json.loads(stored) if isinstance(stored, str) else stored or {}
    return {
        code: facts.stored_entry(
            code,
            None if said["value"] is None else Decimal(said["value"]),
            said["text"],
            said["unit"],
            date.fromisoformat(said["on"]) if said["on"] else None,
            said["source"],
        )
        for code, said in rows.items()
    }


# --- all rows -------------------------------------------------------------------------------


def refuse_impossible(table: Table) -> None:
    """Refuse days before the birth or after the death."""
    for fact in FACTS:
        if table.of(Role.FIELD, column_of(fact, "on")):
            days = f"(SELECT s.line, s.subject, (s.facts -> '{fact.code}' ->> 'on')::date AS day FROM {STAGED} s)"
            refuse_impossible_days(days, "day", table, column_of(fact, "on"))


_DIFFERS = (
    "CASE f.key "
    + " ".join(f"WHEN '{fact.code}' THEN j.pile_said_{fact.code}" for fact in FACTS)
    + f" END IN {_WRITTEN}"
)
_FACT = (
    "(f.value ->> 'value')::numeric, f.value ->> 'text', f.value ->> 'unit', (f.value ->> 'on')::date,"
    " f.value ->> 'source'"
)
_INTO = "value, typed_text, typed_unit, happened_on, source"
_PLACE = "array_position(ARRAY[" + ", ".join(f"'{fact.code}'" for fact in FACTS) + "], f.key)"


def write() -> None:
    """Write the facts that are new or replaced; the screenings are written before."""
    source = (
        f"{JUDGED} j JOIN patients_patient p ON p.subject_id = j.subject JOIN patients_screening c"
        " ON c.patient_id = p.id AND c.screened_on = j.screened_on AND c.voided_at IS NULL,"
        " LATERAL jsonb_each(j.facts) f"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE patients_screeningfact t SET ({_INTO}) = ROW({_FACT}) FROM {source}"
            f" WHERE {_DIFFERS} AND t.screening_id = c.id AND t.fact = f.key"
        )
        cursor.execute(
            f"INSERT INTO patients_screeningfact (patient_id, screening_id, fact, {_INTO})"
            f" SELECT p.id, c.id, f.key, {_FACT} FROM {source} WHERE {_DIFFERS} AND NOT EXISTS (SELECT"
            " FROM patients_screeningfact x WHERE x.screening_id = c.id AND x.fact = f.key)"
            f" ORDER BY j.line, {_PLACE}"
        )


def ask(context: Context) -> None:
    """Let the queries of the screenings follow what the soft checks say of the facts that were written."""
    touched = " OR ".join(f"j.pile_{column.field} IN {_WRITTEN}" for column in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.id, j.target_id IS NULL FROM {JUDGED} j JOIN patients_patient p ON p.subject_id = j.subject"
            " JOIN patients_screening c ON c.patient_id = p.id AND c.screened_on = j.screened_on"
            f" AND c.voided_at IS NULL WHERE {touched} ORDER BY c.id"
        )
        is_new = dict(cursor.fetchall())
    found = Screening.objects.filter(pk__in=is_new).select_related("patient").prefetch_related("facts")
    for screening in found.order_by("pk"):
        patient = screening.patient
        doubts = is_new[screening.pk] and facts.doubts(
            list(screenings.entries_of(screening).values()),
            earlier=selectors.labs_until(patient, screening.screened_on),
            is_liver_failure=patient.diagnosis == protocol.Diagnosis.LIVER_FAILURE,
        )
        if doubts or not is_new[screening.pk]:
            follow_facts(patient=patient, screening=screening, by=context.by, kept=None)
