"""Importing screenings, events, findings and laboratories: the rules of the forms, by line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from patients import actions
from patients.actions import AnswerEntry, EventEntry, TreatmentEntry
from patients.imports.events import Events
from patients.imports.importing import Counts, Outcome, opened
from patients.imports.kinds import Context, Kind
from patients.imports.screening import Screenings, verdict_sql
from patients.imports.subjects import Subjects
from patients.imports.visits import Visits
from patients.models import (
    AdverseEvent,
    DataQuery,
    LabResult,
    Patient,
    Screening,
    ScreeningAnswer,
    ScreeningFact,
    Treatment,
    Visit,
)
from patients.models import Outcome as Ending
from tests import factories
from trial import audit, protocol
from trial.models import Revision, Site, User
from trial.protocol import Answer, VerdictState

pytestmark = pytest.mark.django_db

CODES = tuple(protocol.CRITERION_AT)
PASSES = {c.code: c.passes.value for c in protocol.CRITERIA}
Import = Callable[..., tuple[Outcome, list[tuple[int, str, str]]]]


@pytest.fixture
def bring_in(tmp_path: Path, data_manager: User) -> Import:
    """Import a text as a file; return what came of it, and line, column and rule of every refusal."""

    def run(kind: Kind, header: str, *rows: str, **how: Any) -> tuple[Outcome, list[tuple[int, str, str]]]:
        path = tmp_path / "file.csv"
        path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        context = Context(by=data_manager, today=timezone.localdate(), laboratory=how.pop("laboratory", ""))
        with opened(path, name="file.csv", kind=kind, context=context) as staged:
            outcome = staged.commit(reason="test", **how)
            problems = list(staged.problems())
            assert all(str(p.sentence) and str(p.remedy) for p in problems)
        if connection.in_atomic_block:
            audit.settle()
        return outcome, [(p.line, p.column, p.rule) for p in problems]

    return run


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    return factories.a_patient(
        site=sites["GE"],
        subject_id="S001",
        sex="F",
        birth_date=date(1975, 5, 4),
        recruited_on=date(2024, 1, 8),
    )


# --- screening ------------------------------------------------------------------------------

ALL = "subject_id,screened_on," + ",".join(CODES)


def answers(**but: str) -> str:
    return ",".join({**PASSES, **but}[code] for code in CODES)


def test_513_screened_become_123(bring_in: Import, sites: dict[str, Site]) -> None:
    """The paper's own flow: everybody comes with the subjects, the screening says who stays."""
    subjects = [f"P{n:03},GE,F,40,cirrhosis,{'2014-01-01' if n < 123 else ''}" for n in range(513)]
    bring_in(Subjects(), "subject_id,site,sex,age,diagnosis,recruited_on", *subjects)
    rows = [
        f"P{n:03},2013-12-20,{answers() if n < 123 else answers(exclusion_h='yes') if n % 2 else answers(inclusion_a='no')}"
        for n in range(513)
    ]
    before = audit.latest_revision()
    outcome, refused = bring_in(Screenings(), ALL, *rows)
    assert (outcome.rows, refused) == (Counts(new=513), [])
    assert audit.latest_revision() == before + 1
    assert Screening.objects.filter(verdict="eligible").count() == 123
    assert Patient.objects.filter(status="screen_failed").count() == 390
    assert Patient.objects.filter(status="enrolled").count() == 123
    assert ScreeningAnswer.objects.count() == 513 * len(CODES)
    assert not ScreeningFact.objects.exists(), (
        "what the automatic checks look at is not in the file, and not made up"
    )
    again, _refused = bring_in(Screenings(), ALL, *rows)
    assert (again.rows, again.revision) == (Counts(same=513), None)


def test_headers_and_answers_as_hospitals_write_them(bring_in: Import, patient: Patient) -> None:
    header = "受试者编号,筛选日期,HBsAg positive for more than 6 months,入选标准B,inclusion C,排除A,Exclusion H,肝移植,排除标准G日期,酒精性肝病依据"
    outcome, refused = bring_in(
        Screenings(), header, "S001,2024年1月2日,是,1,Ｙ,否,0,不详,2024/01/02,'=drinks"
    )
    assert refused == []
    assert outcome.rows == Counts(new=1)
    screening = Screening.objects.get()
    stored = {a.criterion: a for a in screening.answers.all()}
    assert {code: stored[code].answer for code in CODES} == dict.fromkeys(CODES, "unknown") | {
        "inclusion_a": "yes", "inclusion_b": "yes", "inclusion_c": "yes", "exclusion_a": "no", "exclusion_h": "no",
    }  # fmt: skip
    assert (stored["exclusion_g"].evidence, stored["exclusion_g"].evidence_on) == (
        "=drinks",
        date(2024, 1, 2),
    )
    assert (screening.verdict, screening.rule_set) == ("pending", protocol.RULE_SET)
    assert Patient.objects.get().status == "enrolled", (
        "who is enrolled stays enrolled while nothing speaks against it"
    )


def test_what_a_screening_file_cannot_say(bring_in: Import, patient: Patient) -> None:
    header = (
        "subject_id,screened_on,verdict,rule_set,inclusion_a,inclusion_c,inclusion_c_evidence,exclusion_a_on"
    )
    outcome, refused = bring_in(
        Screenings(),
        header,
        "S001,2024-01-02,,,maybe,,,",
        "S009,2024-01-02,,,yes,,,",
        ",2024-01-02,,,yes,,,",
        "S001,,,,yes,,,",
        "S001,02/03/2024,,,yes,,,",
        "S001,2031-01-02,,,yes,,,",
        "S001,1975-05-04,,,yes,,,",
        "S001,2024-02-02,eligible,,yes,,,",
        "S001,2024-02-03,,apasl/9,yes,,,",
        "S001,2024-02-04,,,yes,no,,",
        "S001,2024-02-05,,,yes,no,passport says 61,",
        "S001,2024-02-06,,,yes,,,2030-01-01",
        "S001,2024-02-07,,,yes,,,",
        "S001,2024-02-07,,,no,,,",
        f"S001,2024-02-08,,,yes,,{'x' * 301},",
        "S001,2024-02-09,,,=1+1,,,",
    )
    assert refused == [
        (2, "inclusion_a", "answer"),
        (3, "subject_id", "unknown_subject"),
        (4, "subject_id", "empty_cell"),
        (5, "screened_on", "empty_cell"),
        (6, "screened_on", "ambiguous_date"),
        (7, "screened_on", "date_out_of_range"),
        (8, "screened_on", "before_birth"),
        (9, "verdict", "verdict"),
        (10, "rule_set", "rule_set"),
        (11, "inclusion_c", "unexplained"),
        (13, "exclusion_a_on", "date_out_of_range"),
        (14, "subject_id, screened_on", "twice"),
        (15, "subject_id, screened_on", "twice"),
        (16, "inclusion_c_evidence", "too_long"),
        (17, "inclusion_a", "answer"),
    ]
    assert outcome.rows == Counts(new=1, refused=15)
    assert Screening.objects.get().screened_on == date(2024, 2, 5)
    assert Patient.objects.get().status == "screen_failed"


def test_an_answer_of_a_person_is_not_overwritten(bring_in: Import, patient: Patient) -> None:
    actions.record_screening(
        patient=patient, screened_on=date(2024, 1, 2), by=audit.service_account(),
        answers={"inclusion_a": AnswerEntry(Answer.YES, "seen in the file")},
    )  # fmt: skip
    audit.settle()
    row = f"S001,2024-01-02,{answers(inclusion_a='no', exclusion_h='yes')}"
    outcome, refused = bring_in(Screenings(), ALL, row)
    assert refused == []
    assert (outcome.rows, outcome.values.conflict, outcome.values.new) == (Counts(conflict=1), 1, 10)
    screening = Screening.objects.get()
    assert (screening.version, screening.verdict) == (2, "not_eligible")
    assert screening.answers.get(criterion="inclusion_a").answer == "yes"
    outcome, _refused = bring_in(Screenings(), ALL, row, consents=frozenset({(2, "inclusion_a")}))
    assert outcome.rows == Counts(changed=1)
    answer = ScreeningAnswer.objects.get(criterion="inclusion_a")
    assert (answer.answer, answer.evidence) == ("no", "seen in the file")
    assert Revision.objects.get(number=outcome.revision).entries.count() == 2


FACTS = (
    "fact_tbil,fact_tbil_typed,fact_tbil_unit,fact_tbil_on,fact_inr,fact_inr_on,fact_ascites_never,fact_histology,"
    "fact_histology_on,fact_hbsag_first_on,fact_hbsag_first_source"
)


def test_what_the_checks_look_at_comes_with_the_screening(bring_in: Import, patient: Patient) -> None:
    row = "S001,2024-01-05,171,10.0,mg/dL,2024-01-03,1.7,2024-01-03,yes,no,2024-01-02,2020-02-01,labs"
    assert bring_in(Screenings(), f"subject_id,screened_on,{FACTS}", row)[0].rows == Counts(new=1)
    facts = ScreeningFact.objects.values_list(
        "fact", "value", "typed_text", "typed_unit", "happened_on", "source"
    )
    assert sorted(facts) == [
        ("ascites_on", 0, "0", "", None, ""),
        ("hbsag_first_on", None, "", "", date(2020, 2, 1), "labs"),
        ("histology", 0, "no", "", date(2024, 1, 2), ""),
        ("inr", Decimal("1.7"), "1.7", "ratio", date(2024, 1, 3), ""),
        ("tbil", Decimal(171), "10.0", "mg/dL", date(2024, 1, 3), ""),
    ]
    assert bring_in(Screenings(), f"subject_id,screened_on,{FACTS}", row)[0].rows == Counts(same=1)
    later = bring_in(
        Screenings(), "subject_id,screened_on,fact_inr,fact_inr_on", "S001,2024-01-05,1.9,2024-01-03"
    )
    assert later[0].rows == Counts(conflict=1)


def test_facts_are_held_against_the_answers_and_asked_about(bring_in: Import, patient: Patient) -> None:
    header = "subject_id,screened_on,inclusion_a,fact_hbsag_first_on,fact_tbil,fact_tbil_on"
    _outcome, problems = bring_in(Screenings(), header, "S001,2024-01-05,yes,2023-12-20,,")
    assert problems == [(2, "inclusion_a", "unexplained")]
    bring_in(Screenings(), header, "S001,2024-01-05,yes,2020-12-20,1200,2024-01-04")
    asked = DataQuery.objects.get()
    assert (asked.topic, asked.field, asked.state) == ("screening", "tbil", "open")


@pytest.mark.parametrize(
    ("columns", "cells", "found"),
    [
        ("fact_tbil", "171", [("fact_tbil", "no_day")]),
        ("fact_tbil,fact_tbil_on", "1701,2024-01-03", [("fact_tbil", "hard_limit")]),
        ("fact_tbil,fact_tbil_on,fact_tbil_unit", "171,2024-01-03,kg", [("fact_tbil_unit", "unit_not_accepted")]),
        ("fact_tbil,fact_tbil_typed,fact_tbil_on", "171,12,2024-01-03", [("fact_tbil", "typed_differs")]),
        ("fact_tbil,fact_tbil_on", "171,2024-01-09", [("fact_tbil", "after_screening")]),
        ("fact_tbil,fact_tbil_on", "171,1970-01-09", [("fact_tbil_on", "before_birth")]),
        ("fact_tbil_unit", "umol/L", [("fact_tbil_unit", "fact_without_value")]),
        ("fact_ascites_never,fact_ascites_on", "yes,2024-01-03", [("fact_ascites_never", "never_and_since")]),
        ("fact_ascites_grade", "4", [("fact_ascites_grade", "grade")]),
        ("fact_stiffness,fact_stiffness_on", "<12,2024-01-03", [("fact_stiffness", "plain")]),
        ("fact_histology,fact_histology_source", "no,dream", [("fact_histology_source", "source")]),
    ],
)  # fmt: skip
def test_a_fact_that_cannot_be(
    bring_in: Import, patient: Patient, columns: str, cells: str, found: list[tuple[str, str]]
) -> None:
    outcome, problems = bring_in(
        Screenings(), f"subject_id,screened_on,{columns}", f"S001,2024-01-05,{cells}"
    )
    assert outcome.rows == Counts(refused=1)
    assert [problem[1:] for problem in problems] == found
    assert not Screening.objects.exists()


def test_an_event_names_the_value_it_was_graded_from(bring_in: Import, patient: Patient) -> None:
    bring_in(
        Visits(), "subject_id,week,visit_date,alt", "S001,4,2024-02-12,400", "S001,unscheduled,2024-02-20,300"
    )
    header = "subject_id,event,term,date,grade,lab_analyte,lab_week,lab_date"
    rows = (
        "S001,adverse_event,ALT up,2024-02-12,2,ALT,4,",
        "S001,adverse_event,ALT up,2024-02-20,1,alt,,2024-02-20",
    )
    assert bring_in(Events(), header, *rows)[0].rows == Counts(new=2)
    linked = AdverseEvent.objects.order_by("onset_on").values_list(
        "lab_result__analyte", "lab_result__visit__week"
    )
    assert list(linked) == [("alt", 4), ("alt", None)]
    assert bring_in(Events(), header, *rows)[0].rows == Counts(same=2)
    stem = "S001,adverse_event,Fever,2024-02-12,2"
    _outcome, problems = bring_in(
        Events(), header, f"{stem},ast,4,", f"{stem},alt,4,2024-02-13", f"{stem},alt,,", f"{stem},,4,",
        "S001,death,,2024-03-01,,alt,4,",
    )  # fmt: skip
    assert set(problems) >= {
        (2, "lab_analyte", "no_such_result"),
        (3, "lab_analyte", "no_such_result"),
        (4, "lab_analyte", "no_visit"),
        (5, "lab_week", "no_analyte"),
        (6, "lab_analyte", "not_of_this_event"),
    }
    assert AdverseEvent.objects.count() == 2


def test_the_verdict_in_sql_is_the_verdict_of_the_protocol(db: None) -> None:
    cases = [dict.fromkeys(CODES, answer) for answer in ("yes", "no", "unknown")]
    cases += [PASSES, *({**PASSES, code: answer} for code in CODES for answer in ("yes", "no", "unknown"))]
    with connection.cursor() as cursor:
        for case in cases:
            cursor.execute("SELECT " + verdict_sql(lambda code, case=case: f"'{case[code]}'"))  # type: ignore[misc]
            assert cursor.fetchone() == (
                protocol.assess({c: Answer(a) for c, a in case.items()}).state.value,
            )
    assert protocol.assess({c: Answer(a) for c, a in PASSES.items()}).state == VerdictState.ELIGIBLE


# --- events ---------------------------------------------------------------------------------

EVENTS = "subject_id,event,term,date,time,end_date,end_time,grade,serious,known_at,reported_at,relation,action,result,dose,note"


def test_the_three_kinds_of_events(bring_in: Import, patient: Patient) -> None:
    rows = (
        "S001,adverse_event,FEVER,2024-02-01,22:30,2024-02-03,,2,,,,probable,postponed,recovered,,'=hot",
        "S001,不良事件,something new,2024-02-05,,,,3级,住院,2024-02-06 07:40,2024-02-06 09:00:30,可能有关,,好转,,",
        "S001,血浆,Fresh frozen plasma,2024-02-07,10:00,2024-02-07,12:30,,,,,,,,400 mL,",
        "S001,plasma,Fresh frozen plasma,2024-02-07,15:00,,,,,,,,,,400 mL,",
        "S001,antiviral,Entecavir,2023-01-01,,,,,,,,,,,0.5 mg,N/A",
        "S001,lost to follow-up,,2024-05-01,,,,,,,,,,,,",
    )
    outcome, refused = bring_in(Events(), EVENTS, *rows)
    assert (outcome.rows, refused) == (Counts(new=6), [])
    fever, other = AdverseEvent.objects.order_by("onset_on")
    assert (fever.term, fever.grade, fever.onset_at, fever.relation, fever.action, fever.result, fever.note) == (
        "Fever", 2, time(22, 30), "probable", "postponed", "recovered", "=hot",
    )  # fmt: skip
    assert (other.serious, other.relation, other.result, other.grade) == (
        "hospitalisation",
        "possible",
        "recovering",
        3,
    )
    assert f"{other.aware_at:%Y-%m-%d %H:%M %Z}" == "2024-02-05 23:40 UTC", (
        "the clock of the file is the site's"
    )
    assert list(Treatment.objects.order_by("started_on", "started_at").values_list("kind", "started_at", "note")) == [
        ("antiviral", None, "N/A"), ("plasma", time(10), ""), ("plasma", time(15), ""),
    ]  # fmt: skip
    assert Ending.objects.get().kind == "lost"
    again, _refused = bring_in(Events(), EVENTS, *rows)
    assert (again.rows, again.revision) == (Counts(same=6), None)
    changed, _refused = bring_in(
        Events(), EVENTS, rows[0].replace(",2,,,,", ",3,,,,"), rows[5].replace("-01", "-02", 1)
    )
    assert changed.rows == Counts(conflict=2)
    ended, _refused = bring_in(
        Events(), "subject_id,event,agent,date,end_date", "S001,antiviral,entecavir,2023-01-01,2024-03-01"
    )
    assert ended.rows == Counts(new=1), "the end of what went on is new, not a change"
    assert Treatment.objects.get(kind="antiviral").ended_on == date(2024, 3, 1)


@pytest.mark.parametrize(
    ("row", "column", "rule"),
    [
        ("headache,x,2024-02-01", "event", "event"),
        ("albumin,Human albumin,", "date", "empty_cell"),
        ("adverse_event,,2024-02-01,,,,2", "term", "no_term"),
        ("adverse_event,Fever,2024-02-01", "grade", "no_grade"),
        ("adverse_event,Fever,2024-02-01,,,,6", "grade", "grade"),
        ("adverse_event,Fever,2024-02-01,,,,2,yes", "serious", "serious"),
        ("adverse_event,Fever,2024-02-01,,,,2,death", "known_at", "no_clock"),
        ("adverse_event,Fever,2024-02-01,,,,2,,2024-02-02 08:00", "known_at", "not_serious"),
        ("adverse_event,Fever,2024-02-01,,,,2,death,2024-02-02", "known_at", "no_hour"),
        ("adverse_event,Fever,2024-02-01,,,,2,death,2024-01-31 23:59", "known_at", "known_before_onset"),
        ("adverse_event,Fever,2024-02-01,,,,2,death,2024-02-02 08:00,2024-02-02 07:59", "reported_at", "reported_before_known"),
        ("adverse_event,Fever,2024-02-01,25:00,,,2", "time", "not_a_time"),
        ("adverse_event,Fever,2024-02-02,,2024-02-01,,2", "end_date", "ends_before_it_starts"),
        ("adverse_event,Fever,1975-05-01,,,,2", "date", "before_birth"),
        ("adverse_event,Fever,2024-02-01,,,,2,,,,maybe", "relation", "relation"),
        ("adverse_event,Fever,2024-02-01,,,,2,,,,,,,5 mg", "dose", "not_of_this_event"),
        (f"adverse_event,{'x' * 121},2024-02-01,,,,2", "term", "too_long"),
        ("plasma,FFP,2024-02-01,10:00,2024-02-01,09:59", "end_time", "ends_before_it_starts"),
        ("plasma,FFP,2024-02-01,,,09:59", "end_time", "hour_without_day"),
        ("plasma,FFP,2024-02-01,,,,3", "grade", "not_of_this_event"),
        ("other,,2024-02-01", "agent", "no_agent"),
        ("antiviral,Entecavir,2024-02-01", "time", "hour_needed"),
        ("lost,,2024-01-07", "date", "before_recruitment"),
        ("death,,2024-02-19", "date", "seen_after_death"),
        ("death,,2024-02-20", "date", "seen_after_death"),
        ("transplant,heart,2024-03-01", "term", "not_of_this_event"),
        ("withdrawal,,2024-13-01", "date", "impossible_date"),
    ],
)  # fmt: skip
def test_an_event_that_cannot_be(
    row: str, column: str, rule: str, bring_in: Import, patient: Patient
) -> None:
    factories.a_visit(patient, 4, date(2024, 2, 20), tbil="17")
    actions.record_treatment(
        patient=patient, by=audit.service_account(),
        entry=TreatmentEntry(kind="antiviral", agent="Entecavir", started_on=date(2024, 2, 1), started_at=time(9)),
    )  # fmt: skip
    actions.record_event(
        patient=patient, by=audit.service_account(),
        entry=EventEntry(term="Cough", grade=1, onset_on=date(2024, 2, 3), ended_on=date(2024, 2, 21)),
    )  # fmt: skip
    audit.settle()
    cells = row.split(",")
    outcome, refused = bring_in(Events(), EVENTS, ",".join(["S001", *cells, *[""] * (15 - len(cells))]))
    assert refused in ([(2, column, rule)], [(2, "term", rule)]), refused
    assert outcome.rows == Counts(refused=1)
    assert Treatment.objects.count() == 1


def test_rows_of_one_file_against_each_other(bring_in: Import, patient: Patient) -> None:
    _outcome, refused = bring_in(
        Events(),
        "subject_id,event,term,date,grade",
        "S001,death,,2024-03-01,",
        "S001,adverse_event,Fever,2024-03-02,1",
        "S001,adverse_event,Nausea,2024-02-02,1",
        "S001,adverse_event,nausea,2024-02-02,Ⅱ级",
        "S001,lost,,2024-02-03,",
        "S001,失访,,2024-02-04,",
    )
    assert [(line, rule) for line, _column, rule in refused] == [
        (3, "after_death"), (4, "twice"), (5, "twice"), (6, "twice"), (7, "twice"),
    ]  # fmt: skip
    assert Ending.objects.get().kind == "death"
    _outcome, refused = bring_in(Events(), "subject_id,event,agent,date", "S001,albumin,,2024-03-02")
    assert refused == [(2, "date", "after_death")]


# --- visits: findings, missed ones, laboratories --------------------------------------------


def test_findings_come_with_the_labs(bring_in: Import, patient: Patient) -> None:
    header = "subject_id,week,visit_date,腹水,West Haven,tbil"
    outcome, refused = bring_in(Visits(), header, "S001,0,2024-01-15,轻度,Ⅱ级,17", "S001,1,,some,5,18")
    assert refused == [(3, "West Haven", "encephalopathy"), (3, "腹水", "ascites")]
    visit = Visit.objects.get()
    assert (visit.ascites, visit.encephalopathy) == ("moderate", "2")
    outcome, _refused = bring_in(Visits(), header, "S001,0,2024-01-15,无,2,")
    assert (outcome.rows, outcome.values.conflict) == (Counts(conflict=1), 1)
    _outcome, refused = bring_in(
        Visits(), "subject_id,week,analyte,value,ascites", "S001,4,tbil,17,none", "S001,4,alt,30,severe", "S001,12,alt,30,none",
        "S001,12,tbil,17,",
    )  # fmt: skip
    assert [rule for _line, _column, rule in refused] == ["two_words", "two_words"]
    assert Visit.objects.get(week=12).ascites == "none"


def test_visits_that_were_not_done(bring_in: Import, patient: Patient) -> None:
    factories.a_visit(patient, 0, date(2024, 1, 15), tbil="17")
    header = "subject_id,week,unscheduled,visit_date,not_done,note,alt"
    outcome, refused = bring_in(
        Visits(), header,
        "S001,1,,,no_show,,",
        "S001,4,,,other,,",
        "S001,0,,,no_show,,",
        "S001,12,,,too_ill,,30",
        "S001,,yes,2024-02-02,refused,,",
        "S001,24,yes,2024-02-03,,,30",
        "S001,,no,2024-02-03,,,30",
        "S001,,,2024-02-04,,,30",
        "S001,,是,2024-02-05,,,30",
    )  # fmt: skip
    assert [(line, rule) for line, _column, rule in refused] == [
        (3, "note_needed"), (4, "has_results"), (5, "has_results"), (6, "not_done_unplanned"), (7, "week_and_none"),
        (8, "no_week"), (9, "no_week"),
    ]  # fmt: skip
    assert outcome.rows == Counts(new=2, refused=7)
    assert Visit.objects.get(week=1).not_done == "no_show"
    assert Visit.objects.get(week=None).visited_on == date(2024, 2, 5)
    bring_in(Visits(), header, "S001,1,,2024-01-22,,,44")
    assert Visit.objects.get(week=1).not_done == "", "results that come later say that the visit took place"


def test_a_result_names_its_laboratory(bring_in: Import, patient: Patient, sites: dict[str, Site]) -> None:
    factories.a_laboratory("GE-LAB", site=sites["GE"])
    factories.a_laboratory("GS-LAB", site=sites["GS"])
    header = "subject_id,week,visit_date,laboratory,drawn_at,tbil,alt"
    _outcome, refused = bring_in(
        Visits(), header, "S001,0,2024-01-15,,,17,30", "S001,1,,GS-LAB,,17,", "S001,4,,XX,,17,", "S001,12,,ge-lab,2024-04-08,17,",
    )  # fmt: skip
    assert [(line, column, rule) for line, column, rule in refused] == [
        (3, "laboratory", "other_laboratory"), (4, "laboratory", "laboratory"), (5, "drawn_at", "no_hour"),
    ]  # fmt: skip
    assert not LabResult.objects.exclude(laboratory=None).exists()
    learned, _refused = bring_in(Visits(), header, "S001,0,2024-01-15,ge-lab,2024-01-15 07:40,17,31")
    assert learned.values.as_json() == {"new": 1, "same": 1, "changed": 0, "conflict": 1, "refused": 0}
    tbil = LabResult.objects.get(analyte="tbil")
    assert (tbil.laboratory.code, f"{tbil.sampled_at:%H:%M}") == ("GE-LAB", "23:40")
    assert LabResult.objects.get(analyte="alt").laboratory is None, "a conflict leaves everything as it is"
    same, _refused = bring_in(
        Visits(), "subject_id,week,visit_date,tbil", "S001,0,2024-01-15,17", laboratory="GE-LAB"
    )
    assert same.rows == Counts(same=1)
    bring_in(Visits(), "subject_id,week,visit_date,alt", "S001,1,2024-01-22,40", laboratory="GE-LAB")
    assert LabResult.objects.get(visit__week=1).laboratory.code == "GE-LAB"


def test_what_was_typed_has_to_be_the_value_beside_it(bring_in: Import, patient: Patient) -> None:
    _outcome, refused = bring_in(
        Visits(), "subject_id,week,visit_date,analyte,value,comparator,unit,typed,typed_unit",
        "S001,0,2024-01-15,tbil,17.1,,umol/L,'1.0,mg/dL",
        "S001,0,2024-01-15,creatinine,88.4,,umol/L,2,mg/dL",
        'S001,0,2024-01-15,inr,1.5,,ratio,"1,5",ratio',
        "S001,0,2024-01-15,alt,5,<,U/L,<5,U/L",
        "S001,0,2024-01-15,ast,5,,U/L,<5,U/L",
        "S001,0,2024-01-15,pta,40,,%,forty,%",
    )  # fmt: skip
    assert [(line, rule) for line, _column, rule in refused] == [
        (3, "typed_differs"), (6, "typed_differs"), (7, "no_digits"),
    ]  # fmt: skip
    stored = dict(LabResult.objects.values_list("analyte", "typed_text"))
    assert stored == {"tbil": "1.0", "inr": "1,5", "alt": "<5"}


def test_a_status_follows_screening_and_enrolment(bring_in: Import, patient: Patient) -> None:
    header = "subject_id,site,sex,age,diagnosis,status"
    outcome, refused = bring_in(
        Subjects(),
        header,
        "S001,GE,F,,cirrhosis,screening",
        "S002,GE,F,40,cirrhosis,筛选失败",
        "S003,GE,F,40,cirrhosis,dead",
    )
    assert refused == [(2, "age", "no_age"), (2, "status", "status"), (4, "status", "status")]
    assert outcome.rows == Counts(new=1, refused=2)
    assert Patient.objects.get(subject_id="S002").status == "screen_failed"
    _outcome, refused = bring_in(
        Subjects(), "subject_id,site,sex,birth_date,age,diagnosis,recruited_on",
        "S004,GE,F,1980-05-04,43,cirrhosis,2024-01-08", "S005,GE,F,1980-05-04,44.5,cirrhosis,2024-01-08",
    )  # fmt: skip
    assert Patient.objects.get(subject_id="S004").age_at_recruitment is None, "it follows from the two days"
    assert Patient.objects.get(subject_id="S005").age_at_recruitment is not None
