"""Events in files: adverse events, treatments besides the cells, and outcomes, one row each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from types import MappingProxyType

from django.db import connection

from patients import ctcae_terms
from patients.actions.events import TERM_LENGTH
from patients.actions.rules import LONGEST_NOTE
from patients.actions.treatments import AGENT_LENGTH, DOSE_LENGTH
from patients.imports import cells, event_results
from patients.imports.columns import Field
from patients.imports.event_checks import refuse_impossible
from patients.imports.kinds import (
    SUBJECT,
    Context,
    Pile,
    refuse_twins,
    refuse_unknown_subjects,
    say_how_twins_differ,
    written_all,
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
from patients.imports.staging import Stage
from patients.imports.tables import Table
from patients.imports.words import (
    ACTIONS,
    ADVERSE_EVENT,
    EVENTS,
    OUTCOMES,
    RELATIONS,
    RESULTS,
    SERIOUS,
    TREATMENTS,
    moment,
    narrow,
)
from trial import typed
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Part:
    """One of the three tables; ``columns`` maps its columns to what a row of the file says."""

    table: str
    events: frozenset[str]
    columns: Mapping[str, str]

    @property
    def here(self) -> str:
        """SQL for the valid records with the names of the file."""
        at = {field: f"x.{column}" for column, field in self.columns.items()}
        event = at.get("event", f"'{ADVERSE_EVENT}'")
        named = ", ".join(f"{at.get(name, f'NULL::{kind}')} AS {name}" for name, kind in _HERE.items())
        return (
            f"SELECT x.id, x.version, x.patient_id, {event} AS event, {named} FROM {self.table} x"
            " WHERE x.voided_at IS NULL"
        )

    @property
    def chosen(self) -> str:
        """SQL over ``j`` for the rows that belong here; the codes are words of the protocol."""
        codes = ", ".join(f"'{code}'" for code in sorted(self.events))
        return f"j.event IN ({codes})"


_HERE = {
    "term": "text", "date": "date", "time": "time", "end_date": "date", "end_time": "time", "grade": "smallint",
    "serious": "text", "known_at": "timestamptz", "reported_at": "timestamptz", "relation": "text", "action": "text",
    "result": "text", "dose": "text", "note": "text", "lab": "bigint", "ctcae_version": "text",
}  # fmt: skip
PARTS = (
    Part(
        "patients_adverseevent",
        frozenset({ADVERSE_EVENT}),
        MappingProxyType(
            {
                "term": "term", "onset_on": "date", "onset_at": "time", "ended_on": "end_date", "grade": "grade",
                "serious": "serious", "aware_at": "known_at", "reported_at": "reported_at", "relation": "relation",
                "action": "action", "result": "result", "note": "note", "lab_result_id": "lab",
                "ctcae_version": "ctcae_version",
            }
        ),
    ),
    Part(
        "patients_treatment",
        TREATMENTS,
        MappingProxyType(
            {
                "kind": "event", "agent": "term", "started_on": "date", "started_at": "time", "ended_on": "end_date",
                "ended_at": "end_time", "dose": "dose", "note": "note",
            }
        ),
    ),
    Part(
        "patients_outcome",
        OUTCOMES,
        MappingProxyType({"kind": "event", "happened_on": "date", "note": "note"}),
    ),
)  # fmt: skip
_ALL_HERE = " UNION ALL ".join(part.here for part in PARTS)
_OUTCOMES = ", ".join(f"'{code}'" for code in sorted(OUTCOMES))
_TREATMENTS = ", ".join(f"'{code}'" for code in sorted(TREATMENTS))
_WRITTEN = (Pile.CHANGED.value, Pile.NEW.value)


SAME_EVENT = (
    f"t.patient_id = p.id AND t.event = s.event AND (s.event IN ({_OUTCOMES})"
    " OR (t.date = s.date AND lower(t.term) = lower(coalesce(s.term, ''))"
    f" AND (s.event NOT IN ({_TREATMENTS}) OR t.time IS NOT DISTINCT FROM s.time)))"
)
"""When a row ``s`` and a record ``t`` are one: an outcome happens once, an adverse event once a day;
two bags of plasma on one day differ by their hour."""


class Events(RecordKind):
    """Kind ``events``."""

    name = "events"
    fields = (
        SUBJECT,
        Field("event", ("event type", "type", "kind", "category", "事件", "事件类型", "类型"), required=True),
        Field("term", ("event term", "ctcae term", "name", "description", "aeterm", "事件名称", "名称", "不良事件名称")),
        Field("agent", ("drug", "medication", "treatment", "cmtrt", "药物", "药名", "治疗药物")),
        Field(
            "date",
            ("start date", "started on", "onset", "onset date", "onset on", "happened on", "since", "aestdtc", "日期",
             "开始日期", "发生日期"),
            required=True,
        ),
        Field("time", ("start time", "started at", "onset time", "onset at", "时间", "开始时间")),
        Field("end_date", ("end", "ended on", "stop date", "until", "aeendtc", "结束日期", "停止日期")),
        Field("end_time", ("ended at", "stop time", "结束时间")),
        Field("grade", ("ctcae grade", "severity", "aetoxgr", "分级", "级别", "严重程度")),
        Field("serious", ("serious because", "seriousness", "sae", "严重", "严重不良事件", "严重标准")),
        Field("known_at", ("aware at", "known to the site", "获知时间")),
        Field("reported_at", ("reported", "报告时间")),
        Field("relation", ("relationship", "causality", "relation to the infusions", "aerel", "相关性", "与输注关系")),
        Field("action", ("action taken", "aeacn", "采取措施", "措施")),
        Field("result", ("outcome", "outcome of the event", "aeout", "转归")),
        Field("dose", ("dosage", "amount", "剂量", "用量")),
        Field("note", ("notes", "comment", "remark", "remarks", "备注")),
        *event_results.FIELDS,
        Field("ctcae_version", ("ctcae version", "ctcae版本")),
    )  # fmt: skip
    dates = frozenset({"date", "end_date"})
    numbers = frozenset({"grade"})
    tables = {
        STAGED: "line integer, subject text, event text, term text, date date, time time, end_date date,"
        " end_time time, grade smallint, serious text, known_at timestamp, reported_at timestamp, relation text,"
        f" action text, result text, dose text, note text, {event_results.STAGED_COLUMNS}, ctcae_version text"
    }
    target = "patients_adverseevent"
    in_table = (
        f"CASE WHEN j.event IN ({_TREATMENTS}) THEN 'patients_treatment'"
        f" WHEN j.event IN ({_OUTCOMES}) THEN 'patients_outcome' ELSE 'patients_adverseevent' END"
    )
    place = "concat_ws(' ', j.event, j.term, j.date)"
    key = (
        "JOIN patients_patient p ON p.subject_id = s.subject JOIN trial_site h ON h.id = p.site_id"
        f" LEFT JOIN ({_ALL_HERE}) t ON {SAME_EVENT}"
    )
    keys = ("subject", "event", "name_key", "date_key", "time_key")
    columns = (
        RecordColumn("date", "date", "date"),
        RecordColumn("time", "time", "time"),
        RecordColumn("end_date", "date", "end_date"),
        RecordColumn("end_time", "time", "end_time"),
        RecordColumn("grade", "numeric", "grade"),
        RecordColumn(
            # a file may say that an event was not serious, which is what an empty code means
            "serious",
            "text",
            "serious",
            here="CASE WHEN s.serious = '' THEN coalesce(t.serious, '') ELSE nullif(t.serious, '') END",
        ),
        moment_column("known_at"),
        moment_column("reported_at"),
        RecordColumn("relation", "text", "relation"),
        RecordColumn("action", "text", "action"),
        RecordColumn("result", "text", "result"),
        RecordColumn("dose", "text", "dose"),
        RecordColumn("note", "text", "note"),
        event_results.COLUMN,
        RecordColumn("ctcae_version", "text", "ctcae_version"),
    )
    not_null = dict.fromkeys(("term", "serious", "relation", "action", "result", "dose", "note"), "''") | {
        "ctcae_version": f"'{ctcae_terms.VERSION}'"
    }

    def reader(self, table: Table, stage: Stage, context: Context) -> Callable[[int, list[str]], None]:
        return _EventReader(table, stage, context).read

    def check(self, table: Table, context: Context) -> None:
        refuse_unknown_subjects(STAGED, table, context)
        once = f"s.event IN ({_OUTCOMES})"
        keyed = (
            f"(SELECT s.*, CASE WHEN NOT {once} THEN coalesce(lower(s.term), '') END AS name_key,"
            f" CASE WHEN NOT {once} THEN s.date END AS date_key,"
            f" CASE WHEN s.event IN ({_TREATMENTS}) THEN s.time END AS time_key FROM {STAGED} s) AS keyed"
        )
        lines = refuse_twins(STAGED, self.keys, table, ("subject_id", "event", "date"), source=keyed)
        if lines:
            say_how_twins_differ(staged_cells(lines))
        event_results.refuse_strange(table)
        refuse_impossible(table, here=_ALL_HERE, same=SAME_EVENT, treatments=_TREATMENTS)

    def write(self, context: Context) -> None:
        for part in PARTS:
            self._write_part(part)

    def _write_part(self, part: Part) -> None:
        columns = {column.field: column for column in self.columns}
        given = {
            "term": RecordColumn("term", "text", "term"),
            "event": RecordColumn("event", "text", "event"),
        }
        into = {target: (columns | given)[field] for target, field in part.columns.items()}
        values = {
            "patient_id": "(SELECT id FROM patients_patient WHERE subject_id = j.subject)",
            **{target: self._value(column) for target, column in into.items()},
            "version": "1",
        }
        piled = {target: column for target, column in into.items() if column.field in columns}
        touched = " OR ".join(f"j.pile_{column.field} IN {_WRITTEN}" for column in piled.values())
        kept = ", ".join(
            f"{target} = CASE WHEN j.pile_{column.field} IN {_WRITTEN} THEN {self._value(column)} ELSE t.{target} END"
            for target, column in piled.items()
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FILTER (WHERE target_id IS NULL),"
                f" count(*) FILTER (WHERE target_id IS NOT NULL AND ({touched})) FROM {JUDGED} j WHERE {part.chosen}"
            )
            new, changed = cursor.fetchone()
            if new:
                cursor.execute(
                    f"INSERT INTO {part.table} ({', '.join(values)}) SELECT {', '.join(values.values())}"
                    f" FROM {JUDGED} j WHERE j.target_id IS NULL AND {part.chosen} ORDER BY j.line"
                    " ON CONFLICT DO NOTHING"
                )
                written_all(cursor, new)
            if changed:
                cursor.execute(
                    f"UPDATE {part.table} t SET {kept}, version = t.version + 1 FROM {JUDGED} j WHERE {part.chosen}"
                    f" AND j.target_id = t.id AND t.version = j.target_version AND ({touched})"
                )
                written_all(cursor, changed)


# --- one row --------------------------------------------------------------------------------

_GRADE = re.compile(r"(?:grade|ctcae|g)? *([1-5]|i{1,3}|iv|v)(?:\.0+)? *(?:级|度)?")
_ROMAN = ("i", "ii", "iii", "iv", "v")
_VERSION = re.compile(r"(?:ctcae *)?v?(?:ersion)? *([1-9](?:\.[0-9]{1,2})?)")
_OF_PART: Mapping[str, frozenset[str]] = MappingProxyType(
    {code: frozenset(part.columns.values()) for part in PARTS for code in part.events}
)


class _EventReader(RecordReader):
    def read(self, line: int, row: list[str]) -> None:
        subject = self.required(line, row, "subject_id", cells.read_subject)
        event = self.required(line, row, "event", EVENTS.read)
        day: date | None = self.required(line, row, "date", self.past_day)
        if event is not None:
            self._refuse_strange_cells(line, row, event)
        term = self._term(line, row, event)
        hour: time | None = self.cell(line, row, "time", typed.read_time)
        end: date | None = self.cell(line, row, "end_date", self.past_day)
        end_hour: time | None = self.cell(line, row, "end_time", typed.read_time)
        grade = self._grade(line, row, event)
        serious = self.cell(line, row, "serious", SERIOUS.read)
        known: datetime | None = self.cell(line, row, "known_at", self._moment)
        reported: datetime | None = self.cell(line, row, "reported_at", self._moment)
        self._refuse_order(line, (day, hour), (end, end_hour))
        if event == ADVERSE_EVENT:
            self._refuse_clock(line, row, day, serious, known, reported)
        coded = [
            self.cell(line, row, code, words.read)
            for code, words in (("relation", RELATIONS), ("action", ACTIONS), ("result", RESULTS))
        ]
        dose = self.words(line, row, "dose", most=DOSE_LENGTH)
        note = self.words(line, row, "note", most=LONGEST_NOTE)
        graded = event_results.read(self, line, row)
        version = self.cell(line, row, "ctcae_version", _read_version)
        if subject is not None and event is not None and day is not None:
            self.stage_record(
                line, subject, event, term, day, hour, end, end_hour, grade, serious, known, reported, *coded, dose, note,
                *graded, version,
            )  # fmt: skip

    def _refuse_strange_cells(self, line: int, row: list[str], event: str) -> None:
        """Refuse what the file says and the event has no place for; nothing is dropped without a word."""
        own = _OF_PART[event] | {"event", "agent" if "term" in _OF_PART[event] else ""}
        own |= {field.code for field in event_results.FIELDS} if event_results.COLUMN.field in own else set()
        for field in Events.fields[2:]:
            text = self.text(row, field.code)
            if text and field.code not in own:
                self.refuse(
                    line,
                    field.code,
                    text,
                    _WRONG("not_of_this_event", event=event, column=self.header(field.code)),
                )

    def _term(self, line: int, row: list[str], event: str | None) -> str | None:
        most = TERM_LENGTH if event == ADVERSE_EVENT else AGENT_LENGTH
        said = {code: self.words(line, row, code, most=most) for code in ("term", "agent")}
        term, agent = said["term"], said["agent"]
        if term and agent and term != agent:
            self.refuse(line, "agent", agent, _WRONG("two_names"))
        name = term or agent
        if event == ADVERSE_EVENT:
            if not name and not self.refused_here(line, row, ("term", "agent")):
                self.refuse(line, "term", "", _WRONG("no_term"))
            return ctcae_terms.term_of(name).name if name else None
        if event == "other" and not name and not self.refused_here(line, row, ("term", "agent")):
            self.refuse(line, "agent", "", _WRONG("no_agent"))
        return name

    def refused_here(self, line: int, row: list[str], codes: Iterable[str]) -> bool:
        """Return whether one of the cells says something, which then was refused by itself."""
        return any(self.text(row, code) for code in codes)

    def _grade(self, line: int, row: list[str], event: str | None) -> int | None:
        grade: int | None = self.cell(line, row, "grade", _read_grade)
        if event == ADVERSE_EVENT and not self.text(row, "grade"):
            self.refuse(line, "grade", "", _WRONG("no_grade"))
        return grade

    def _moment(self, text: str) -> datetime:
        return moment(text, self.past_day)

    def _refuse_order(
        self, line: int, start: tuple[date | None, time | None], end: tuple[date | None, time | None]
    ) -> None:
        (day, hour), (end_day, end_hour) = start, end
        if end_hour is not None and end_day is None:
            self.refuse(line, "end_time", f"{end_hour:%H:%M}", _WRONG("hour_without_day"))
        if day is None or end_day is None:
            return
        if end_day < day:
            wrong = _WRONG("ends_before_it_starts", end=end_day.isoformat(), start=day.isoformat())
            self.refuse(line, "end_date", end_day.isoformat(), wrong)
        elif end_day == day and hour is not None and end_hour is not None and end_hour < hour:
            wrong = _WRONG("ends_before_it_starts", end=f"{end_hour:%H:%M}", start=f"{hour:%H:%M}")
            self.refuse(line, "end_time", f"{end_hour:%H:%M}", wrong)

    def _refuse_clock(
        self,
        line: int,
        row: list[str],
        day: date | None,
        serious: str | None,
        known: datetime | None,
        reported: datetime | None,
    ) -> None:
        if serious and not self.text(row, "known_at"):
            self.refuse(line, "known_at", "", _WRONG("no_clock"))
        if known is not None and not serious:
            self.refuse(line, "known_at", f"{known:%Y-%m-%d %H:%M}", _WRONG("not_serious"))
        if known is not None and day is not None and known.date() < day:
            wrong = _WRONG("known_before_onset", moment=f"{known:%Y-%m-%d %H:%M}", day=day.isoformat())
            self.refuse(line, "known_at", f"{known:%Y-%m-%d %H:%M}", wrong)
        is_known = known is not None or bool(self.text(row, "known_at"))
        if reported is not None and (not is_known or (known is not None and reported < known)):
            self.refuse(line, "reported_at", f"{reported:%Y-%m-%d %H:%M}", _WRONG("reported_before_known"))


def _read_grade(text: str) -> int:
    found = _GRADE.fullmatch(narrow(text).casefold())
    if found is None:
        raise Unreadable(
            "grade",
            text,
            Sentence(_("“%(value)s” is not a grade."), {"value": typed.printable(text)}),
            Sentence(_("A grade is a whole number from 1 to 5.")),
        )
    return _ROMAN.index(found[1]) + 1 if found[1] in _ROMAN else int(found[1])


def _read_version(text: str) -> str:
    found = _VERSION.fullmatch(narrow(text).casefold())
    if found is None:
        raise Unreadable(
            "version",
            text,
            Sentence(_("“%(value)s” is not a version of the criteria."), {"value": typed.printable(text)}),
            Sentence(_("Write its number, such as %(version)s."), {"version": ctcae_terms.VERSION}),
        )
    return found[1] if "." in found[1] else f"{found[1]}.0"


_WRONG = RowRules(
    {
        "not_of_this_event": (
            _("An event “%(event)s” has no “%(column)s”."),
            _("Empty the cell, or correct the kind of event."),
        ),
        "ends_before_it_starts": (
            _("It ends at %(end)s, before it starts at %(start)s."),
            _("Correct one of them."),
        ),
        "known_before_onset": (
            _("The site cannot know at %(moment)s of what began on %(day)s."),
            _("Check both days."),
        ),
        "two_names": (_("The row names a term and another agent."), _("Keep the one that is meant.")),
        "no_term": (_("The event has no term."), _("Write what happened, if it can be as CTCAE names it.")),
        "no_agent": (_("Another treatment has no name."), _("Write the agent.")),
        "no_grade": (_("The event has no grade."), _("Give a CTCAE grade from 1 to 5.")),
        "hour_without_day": (
            _("The end has an hour and no day."),
            _("Give the day, or leave the hour empty."),
        ),
        "no_clock": (
            _("A serious event has no hour from which its report is due."),
            _("Give the day and the hour when the site learned of it."),
        ),
        "not_serious": (
            _("The clock of a report runs for a serious event, and this is not said to be one."),
            _("Say why it is serious, or empty the cell."),
        ),
        "reported_before_known": (_("It was reported before the site knew of it."), _("Check both moments.")),
    }
)
