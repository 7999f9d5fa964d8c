"""Screenings in files: one row per screening, a column per criterion; the verdict follows as from the form.

What a file does not say is unknown. What the automatic checks look at may be in it
(:mod:`patients.imports.screening_facts`); a screening without rests on its answers and on
what the study knows of the subject by itself (age, sex, facts recorded before).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from django.db import connection

from patients import eligibility, screenings
from patients.actions.rules import LONGEST_NOTE
from patients.entries import AnswerEntry
from patients.imports import cells, screening_facts
from patients.imports.columns import Field
from patients.imports.days import refuse_impossible_days
from patients.imports.kinds import (
    SUBJECT,
    Context,
    Pile,
    header_of,
    refuse_twins,
    refuse_unknown_subjects,
    say_how_twins_differ,
    written_all,
)
from patients.imports.problems import packed
from patients.imports.records import JUDGED, STAGED, RecordColumn, RecordKind, RecordReader, staged_cells
from patients.imports.staging import PROBLEMS, Stage, refuse_where
from patients.imports.tables import Table
from patients.imports.words import ANSWERS, VERDICTS
from patients.models import Patient, Screening
from patients.rule_sets import RULE_SET_AT
from trial import protocol, typed
from trial.protocol import Answer, CriterionKind, VerdictState
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_CHINESE: dict[str, tuple[str, ...]] = {
    "inclusion_a": ("HBsAg阳性超过6个月", "HBsAg阳性6个月以上"),
    "inclusion_b": ("HBV相关肝衰竭或肝硬化", "乙肝相关肝衰竭或肝硬化"),
    "inclusion_c": ("16-60岁", "年龄16-60岁"),
    "exclusion_a": ("近2个月严重并发症", "严重并发症"),
    "exclusion_b": ("自身免疫性疾病", "合并自身免疫病"),
    "exclusion_c": ("其他肝炎病毒", "合并其他肝炎病毒"),
    "exclusion_d": ("其他重要脏器损害", "重要脏器功能不全"),
    "exclusion_e": ("妊娠或哺乳", "妊娠哺乳"),
    "exclusion_f": ("肝移植", "肝移植史"),
    "exclusion_g": ("酒精性肝病",),
    "exclusion_h": ("肝癌",),
}
_KINDS = {CriterionKind.INCLUSION: ("inclusion", "入选标准", "纳入标准", "入选"),
          CriterionKind.EXCLUSION: ("exclusion", "排除标准", "排除")}  # fmt: skip
_MOST_IN_MEMORY = 1000
_LONGEST_VERSION = 12
_WRITTEN = (Pile.CHANGED.value, Pile.NEW.value)
_UNKNOWN = Answer.UNKNOWN.value


def _headers(criterion: protocol.Criterion) -> tuple[str, ...]:
    lettered = [f"{kind}{gap}{criterion.letter}" for kind in _KINDS[criterion.kind] for gap in ("", " ")]
    return (criterion.label, *_CHINESE[criterion.code], *lettered)


def _fields() -> Iterator[Field]:
    for criterion in protocol.CRITERIA:
        names = _headers(criterion)
        yield Field(criterion.code, names)
        yield Field(
            f"{criterion.code}_evidence", tuple(f"{n}{w}" for n in names for w in (" evidence", "依据"))
        )
        yield Field(f"{criterion.code}_on", tuple(f"{n}{w}" for n in names for w in (" date", "日期")))


def _columns() -> Iterator[RecordColumn]:
    for code in protocol.CRITERION_AT:
        # an answer of unknown is none yet: the file fills it like an empty cell
        here = f"CASE WHEN a.{code} = '{_UNKNOWN}' AND s.{code} <> '{_UNKNOWN}' THEN NULL ELSE a.{code} END"
        yield RecordColumn(code, "text", "answer", here=here)
        yield RecordColumn(f"{code}_evidence", "text", "evidence", here=f"nullif(a.{code}_evidence, '')")
        yield RecordColumn(f"{code}_on", "date", "evidence_on", here=f"a.{code}_on")


_PIVOT = ", ".join(
    f"max(x.{column}) FILTER (WHERE x.criterion = '{code}') AS {code}{suffix}"
    for code in protocol.CRITERION_AT
    for suffix, column in (("", "answer"), ("_evidence", "evidence"), ("_on", "evidence_on"))
)
_OF_SUBJECT = (
    "JOIN patients_patient p ON p.subject_id = s.subject LEFT JOIN patients_screening t"
    " ON t.patient_id = p.id AND t.screened_on = s.screened_on AND t.voided_at IS NULL"
)
_STORED = f"LEFT JOIN LATERAL (SELECT {_PIVOT} FROM patients_screeninganswer x WHERE x.screening_id = t.id) a ON true"


def verdict_sql(answer: Callable[[str], str]) -> str:
    """Return SQL for what answers amount to, as :func:`trial.protocol.assess` has it."""
    against = " OR ".join(
        f"{answer(c.code)} NOT IN ('{_UNKNOWN}', '{c.passes.value}')" for c in protocol.CRITERIA
    )
    unknown = " OR ".join(f"{answer(c.code)} = '{_UNKNOWN}'" for c in protocol.CRITERIA)
    return (
        f"CASE WHEN {against} THEN '{VerdictState.NOT_ELIGIBLE.value}'"
        f" WHEN {unknown} THEN '{VerdictState.PENDING.value}' ELSE '{VerdictState.ELIGIBLE.value}' END"
    )


class Screenings(RecordKind):
    """Kind ``screening``."""

    name = "screening"
    fields = (
        SUBJECT,
        Field(
            "screened_on",
            ("screened", "screening date", "date of screening", "date", "筛选日期", "筛查日期", "日期"),
            required=True,
        ),
        Field("rule_set", ("rule set",)),
        Field("protocol_version", ("protocol", "protocol version", "方案版本")),
        Field("verdict", ("screening result", "结论", "筛选结果", "筛选结论")),
        *_fields(),
        *screening_facts.FIELDS,
    )
    dates = screening_facts.DATES | {"screened_on", *(f"{code}_on" for code in protocol.CRITERION_AT)}
    tables = {
        STAGED: "line integer, subject text, screened_on date, rule_set text, protocol_version text, verdict text, "
        + ", ".join(f"{code} text, {code}_evidence text, {code}_on date" for code in protocol.CRITERION_AT)
        + f", {screening_facts.STAGED_COLUMNS}"
    }
    target = "patients_screening"
    place = "j.screened_on::text"
    key = f"{_OF_SUBJECT} {_STORED} {screening_facts.STORED}"
    keys = ("subject", "screened_on")
    columns = (*_columns(), *screening_facts.COLUMNS)

    def reader(self, table: Table, stage: Stage, context: Context) -> Callable[[int, list[str]], None]:
        return _ScreeningReader(table, stage, context).read

    def check(self, table: Table, context: Context) -> None:
        refuse_unknown_subjects(STAGED, table, context)
        lines = refuse_twins(STAGED, self.keys, table, ("subject_id", "screened_on"))
        if lines:
            say_how_twins_differ(staged_cells(lines))
        for field in ("screened_on", *(f"{code}_on" for code in protocol.CRITERION_AT)):
            refuse_impossible_days(STAGED, field, table, field)
        screening_facts.refuse_impossible(table)
        _refuse_other_verdicts(table)
        _refuse_unexplained(table)

    def write(self, context: Context) -> None:
        """Write screenings, then answers, then the status of the subjects that the newest verdict amounts to."""
        touched = " OR ".join(f"j.pile_{c.field} IN {_WRITTEN}" for c in self.columns)
        final = {c.field: _final(c) for c in self.columns}
        verdict = verdict_sql(lambda code: final[code])
        answers = ", ".join(
            f"('{code}', {place}, {final[code]}, coalesce({final[f'{code}_evidence']}, ''), {final[f'{code}_on']},"
            f" coalesce(j.pile_{code} IN {_WRITTEN}, false) OR coalesce(j.pile_{code}_evidence IN {_WRITTEN}, false)"
            f" OR coalesce(j.pile_{code}_on IN {_WRITTEN}, false))"
            for place, code in enumerate(protocol.CRITERION_AT)
        )
        said = f"LATERAL (VALUES {answers}) AS v(criterion, place, answer, evidence, evidence_on, differs)"
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FILTER (WHERE target_id IS NULL),"
                f" count(*) FILTER (WHERE target_id IS NOT NULL AND ({touched})) FROM {JUDGED} j"
            )
            new, changed = cursor.fetchone()
            if not new + changed:
                return
            cursor.execute(
                "INSERT INTO patients_screening (patient_id, screened_on, protocol_version, rule_set, verdict, version)"
                " SELECT (SELECT id FROM patients_patient WHERE subject_id = j.subject), j.screened_on,"
                " coalesce(j.protocol_version, %s),"
                f" coalesce(j.rule_set, %s), {verdict}, 1 FROM {JUDGED} j WHERE j.target_id IS NULL ORDER BY j.line"
                " ON CONFLICT DO NOTHING",
                [protocol.VERSION, protocol.RULE_SET],
            )
            written_all(cursor, new)
            cursor.execute(
                f"UPDATE patients_screening t SET verdict = {verdict}, rule_set = coalesce(nullif(t.rule_set, ''), %s),"
                f" version = t.version + 1 FROM {JUDGED} j"
                f" WHERE j.target_id = t.id AND t.version = j.target_version AND ({touched})",
                [protocol.RULE_SET],
            )
            written_all(cursor, changed)
            cursor.execute(
                "UPDATE patients_screeninganswer t SET answer = v.answer, evidence = v.evidence,"
                f" evidence_on = v.evidence_on FROM {JUDGED} j, {said}"
                " WHERE t.screening_id = j.target_id AND t.criterion = v.criterion AND v.differs"
            )
            cursor.execute(
                "INSERT INTO patients_screeninganswer (patient_id, screening_id, criterion, answer, evidence, evidence_on)"
                f" SELECT c.patient_id, c.id, v.criterion, v.answer, v.evidence, v.evidence_on FROM {JUDGED} j"
                " JOIN patients_patient p ON p.subject_id = j.subject JOIN patients_screening c"
                f" ON c.patient_id = p.id AND c.screened_on = j.screened_on AND c.voided_at IS NULL, {said}"
                f" WHERE (j.target_id IS NULL OR {touched}) AND NOT EXISTS (SELECT FROM patients_screeninganswer x"
                " WHERE x.screening_id = c.id AND x.criterion = v.criterion) ORDER BY j.line, v.place"
            )
            cursor.execute(
                f"{_FOLLOW_VERDICT} WHERE p.subject_id IN (SELECT j.subject FROM {JUDGED} j"
                f" WHERE j.target_id IS NULL OR {touched})) n WHERE p.id = n.id AND p.status <> n.status"
            )
        screening_facts.write()

    def ask(self, context: Context) -> None:
        screening_facts.ask(context)


def _final(column: RecordColumn) -> str:
    """Return SQL over ``j`` for what a cell holds after the import."""
    here = f"j.here_{column.field}" + ("::date" if column.type == "date" else "")
    kept = f"CASE WHEN j.pile_{column.field} IN {_WRITTEN} THEN j.{column.field} ELSE {here} END"
    return f"coalesce({kept}, '{_UNKNOWN}')" if column.target == "answer" else kept


# as patients.actions.eligibility has it: found not eligible, a subject is a screening failure; found otherwise after
# that, it is in screening until somebody enrols it; who is enrolled stays enrolled
_FOLLOW_VERDICT = (
    "UPDATE patients_patient p SET status = n.status, version = p.version + 1 FROM (SELECT p.id, CASE"
    f" WHEN newest.verdict = '{VerdictState.NOT_ELIGIBLE.value}' THEN '{Patient.Status.SCREEN_FAILED.value}'"
    f" WHEN p.status = '{Patient.Status.SCREEN_FAILED.value}' THEN '{Patient.Status.SCREENING.value}'"
    " ELSE p.status END AS status FROM patients_patient p JOIN LATERAL (SELECT c.verdict FROM patients_screening c"
    " WHERE c.patient_id = p.id AND c.voided_at IS NULL ORDER BY c.screened_on DESC, c.id DESC LIMIT 1) newest ON true"
)


def _refuse_other_verdicts(table: Table) -> None:
    """Refuse a row that names a verdict to which its answers do not amount."""
    derived = verdict_sql(lambda code: f"coalesce(s.{code}, a.{code}, '{_UNKNOWN}')")
    refuse_where(
        f"(SELECT s.line, s.verdict, {derived} AS derived FROM {STAGED} s {_OF_SUBJECT} {_STORED}"
        " WHERE s.verdict IS NOT NULL) s WHERE s.verdict <> s.derived",
        {},
        rule="verdict",
        column=header_of(table, "verdict"),
        value="s.verdict",
        sentence=Sentence(
            _("The answers amount to %(derived)s, the file says %(said)s."), {"derived": "", "said": ""}
        ),
        remedy=Sentence(_("Correct the answers, or leave the verdict out: it follows from them.")),
        gaps={"derived": "s.derived", "said": "s.verdict"},
    )


# --- answers against what the study knows ---------------------------------------------------


def _refuse_unexplained(table: Table) -> None:
    """Refuse an answer that says something else than the data and no evidence that says why, as the form does."""
    codes = list(protocol.CRITERION_AT)
    columns = ", ".join(f"s.{code}, s.{code}_evidence" for code in codes)
    last, found = -1, []
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT s.line, p.id, t.id, s.screened_on, s.rule_set, s.facts, {columns} FROM {STAGED} s {_OF_SUBJECT}"
                f" WHERE s.line > %s AND NOT EXISTS (SELECT FROM {PROBLEMS} x WHERE x.line = s.line)"
                " ORDER BY s.line LIMIT %s",
                [last, _MOST_IN_MEMORY],
            )
            rows = cursor.fetchall()
        if not rows:
            break
        last = rows[-1][0]
        found += list(_unexplained(rows, codes))
    with connection.cursor() as cursor:
        for line, code, answer, sentence in found:
            cursor.execute(
                f"INSERT INTO {PROBLEMS} VALUES (%s, %s, %s, 'unexplained', %s::jsonb, %s::jsonb, true)",
                [
                    line,
                    header_of(table, code),
                    answer,
                    json.dumps(packed(sentence)),
                    json.dumps(packed(_EXPLAIN)),
                ],
            )


_EXPLAIN = Sentence(_("Correct the answer, or write into a column of evidence why it stands."))


def _unexplained(rows: list[Any], codes: list[str]) -> Iterator[tuple[int, str, str, Sentence]]:
    patients = Patient.objects.in_bulk([row[1] for row in rows])
    stored = {
        screening.pk: screening
        for screening in Screening.objects.filter(pk__in=[row[2] for row in rows if row[2]]).prefetch_related(
            "answers", "facts"
        )
    }
    for line, patient_id, screening_id, day, rule_set, known, *said in rows:
        screening = stored.get(screening_id)
        entries = {code: AnswerEntry() for code in codes}
        if screening is not None:
            entries |= {
                a.criterion: AnswerEntry(Answer(a.answer), a.evidence) for a in screening.answers.all()
            }
        given = set()
        for code, answer, evidence in zip(codes, said[::2], said[1::2], strict=True):
            if answer is not None:
                given.add(code)
            before = entries[code]
            entries[code] = AnswerEntry(
                Answer(answer) if answer else before.answer, evidence or before.evidence
            )
        facts = screenings.entries_of(screening) if screening is not None else {}
        facts |= screening_facts.entries(known)
        subject = screenings.subject_of(
            patients[patient_id], day, facts, rule_set=rule_set or (screening.rule_set if screening else "")
        )
        for code, (entry, finding) in eligibility.disagreements(subject, entries).items():
            if code in given and not entry.evidence.strip():
                data = Sentence(protocol.ANSWER_LABELS[finding.answer])
                yield (
                    line, code, entry.answer.value,
                    Sentence(_("The data say %(data)s: %(finding)s."), {"data": data, "finding": finding.sentence}),
                )  # fmt: skip


class _ScreeningReader(RecordReader):
    def read(self, line: int, row: list[str]) -> None:
        subject = self.required(line, row, "subject_id", cells.read_subject)
        screened: date | None = self.required(line, row, "screened_on", self.past_day)
        rule_set = self.cell(line, row, "rule_set", _rule_set)
        version = self.cell(line, row, "protocol_version", _protocol_version)
        verdict = self.cell(line, row, "verdict", VERDICTS.read)
        answers: list[object] = []
        for code in protocol.CRITERION_AT:
            answers.append(self.cell(line, row, code, ANSWERS.read))
            answers.append(self.words(line, row, f"{code}_evidence", most=LONGEST_NOTE))
            answers.append(self.cell(line, row, f"{code}_on", self.past_day))
        known = screening_facts.staged(screening_facts.read(self, line, row, screened))
        if subject is not None and screened is not None:
            self.stage_record(line, subject, screened, rule_set, version, verdict, *answers, *known)


def _protocol_version(text: str) -> str:
    return typed.read_text(text, most=_LONGEST_VERSION)


def _rule_set(text: str) -> str:
    name = text.strip().casefold()
    if name not in RULE_SET_AT:
        raise Unreadable(
            "rule_set",
            text,
            Sentence(_("“%(value)s” is not a rule set of the study."), {"value": typed.printable(text)}),
            Sentence(_("Write one of: %(words)s."), {"words": ", ".join(RULE_SET_AT)}),
        )
    return name
