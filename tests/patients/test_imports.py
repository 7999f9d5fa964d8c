"""Importing subjects and visits: five piles, one revision, nothing overwritten without consent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from patients import actions
from patients.imports import importing, staging
from patients.imports.importing import Busy, Counts, Import, Outcome, opened
from patients.imports.kinds import Context, Kind, Moved, Pile, one_letter_away
from patients.imports.options import Options, options_of
from patients.imports.problems import FileRefused, Problem
from patients.imports.subjects import Subjects
from patients.imports.visits import Visits
from patients.models import DataQuery, LabResult, Patient, Visit
from tests import factories
from trial import audit
from trial.models import AuditEntry, Revision, Site, User
from trial.protocol import OutcomeKind

pytestmark = pytest.mark.django_db
SUBJECTS = "subject_id,sex,age,diagnosis,recruited_on\n"
VISITS = "subject_id,week,visit_date,alt,tbil,creatinine\n"


class Hospital:
    """Imports texts as files, as one person."""

    def __init__(self, folder: Path, by: User) -> None:
        self.folder, self.by = folder, by
        self.problems: list[Problem] = []

    def __call__(
        self,
        kind: Kind,
        text: str,
        *,
        commit: bool = True,
        site: str = "",
        said: Options | None = None,
        **how: Any,
    ) -> Outcome:
        path = self.folder / "file.csv"
        path.write_bytes(text.encode())
        context = Context(by=self.by, today=timezone.localdate(), site=site)
        with opened(path, name="file.csv", kind=kind, context=context, options=said) as staged:
            outcome = staged.commit(reason="test", **how) if commit else staged.preview()
            self.problems = list(staged.problems())
            self.notices = list(map(str, staged.facts.notices))
            self.conflicts = staged.differences(Pile.CONFLICT, 100)
        if connection.in_atomic_block:
            audit.settle()
        return outcome

    def subjects(self, *rows: str, **how: Any) -> Outcome:
        return self(Subjects(), SUBJECTS + "\n".join(rows) + "\n", **how)

    def visits(self, *rows: str, header: str = VISITS, **how: Any) -> Outcome:
        return self(Visits(), header + "\n".join(rows) + "\n", **how)

    @property
    def refusals(self) -> list[tuple[int, str, str]]:
        return [(problem.line, problem.column, problem.rule) for problem in self.problems]


@pytest.fixture
def hospital(tmp_path: Path, data_manager: User) -> Hospital:
    return Hospital(tmp_path, data_manager)


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    return factories.a_patient(site=sites["GE"], subject_id="S001")


def value(subject: str, week: int, analyte: str) -> Decimal | None:
    found = LabResult.objects.get(visit__patient__subject_id=subject, visit__week=week, analyte=analyte)
    return found.value


# --- subjects -------------------------------------------------------------------------------


def test_subjects_come_in_as_one_revision(hospital: Hospital, sites: dict[str, Site]) -> None:
    outcome = hospital.subjects(
        "S001,M,45,liver_failure,2014-12-29",
        "S002,F,58.770001,cirrhosis,2014-12-30",
        "S003,女,93,LC,",
        site="GE",
    )
    assert outcome.rows == Counts(new=3)
    assert Revision.objects.get(number=outcome.revision).entries.count() == 3
    stored = Patient.objects.get(subject_id="S002")
    assert (stored.sex, stored.age_at_recruitment, stored.diagnosis, stored.site.code, stored.status) == (
        "F",
        Decimal("58.770001"),
        "cirrhosis",
        "GE",
        "enrolled",
    )
    oldest = Patient.objects.get(subject_id="S003")
    assert oldest.age_at_recruitment == 93, (
        "an age out of the study's range is a fact, never a reason to lose a subject"
    )
    assert oldest.recruited_on is None


def test_the_same_file_again_leaves_no_trace(hospital: Hospital, sites: dict[str, Site]) -> None:
    rows = ["S001,M,45,liver_failure,2014-12-29", "S002,F,38.5,cirrhosis,2014-12-30"]
    hospital.subjects(*rows, site="GE")
    before = audit.latest_revision()
    outcome = hospital.subjects(*rows, site="GE")
    assert outcome.rows == Counts(same=2)
    assert outcome.revision is None
    assert audit.latest_revision() == before


def test_what_differs_is_a_conflict_and_stays(hospital: Hospital, sites: dict[str, Site]) -> None:
    hospital.subjects("S001,M,45,liver_failure,2014-12-29", "S002,F,38,cirrhosis,", site="GE")
    outcome = hospital.subjects(
        "S001,F,45,liver_failure,2014-12-29", "S002,F,38,cirrhosis,2015-01-05", site="GE"
    )
    assert outcome.rows == Counts(new=1, conflict=1)
    assert outcome.values == Counts(new=1, same=8, conflict=1)
    (conflict,) = hospital.conflicts
    assert (conflict.line, conflict.subject, conflict.field, conflict.here, conflict.there) == (
        2,
        "S001",
        "sex",
        "M",
        "F",
    )
    assert conflict.author == "Huang Lei"
    assert Patient.objects.get(subject_id="S001").sex == "M"
    assert Patient.objects.get(subject_id="S002").recruited_on == date(2015, 1, 5), "an empty field is filled"


def test_consent_replaces_all_or_single_cells(hospital: Hospital, sites: dict[str, Site]) -> None:
    hospital.subjects("S001,M,45,liver_failure,", "S002,M,45,liver_failure,", site="GE")
    changed = ["S001,F,46,liver_failure,", "S002,F,46,liver_failure,"]
    outcome = hospital.subjects(*changed, site="GE", consents=frozenset({(2, "sex"), (3, "age")}))
    assert outcome.rows == Counts(conflict=2)
    assert outcome.values.changed == 2
    assert list(
        Patient.objects.order_by("subject_id").values_list("sex", "age_at_recruitment", "version")
    ) == [
        ("F", 45, 2),
        ("M", 46, 2),
    ]
    outcome = hospital.subjects(*changed, site="GE", overwrite=True)
    assert outcome.rows == Counts(changed=2)
    entry = AuditEntry.objects.filter(revision__number=outcome.revision).first()
    assert entry is not None
    assert entry.revision.reason == "test"


def test_every_bad_cell_of_a_row_is_named(hospital: Hospital, sites: dict[str, Site]) -> None:
    outcome = hospital.subjects(
        "S001,X,45,liver_failure,2014-12-29",
        "S002,F,,cirrhosis,2014-12-30",
        "S003,F,abc,gastritis,2014-02-30",
        ",M,45,cirrhosis,",
        "S005,M,45,cirrhosis",
        "S006,M,45,cirrhosis,2114-01-01",
        "S007,M,45,cirrhosis,2015-01-01",
        site="GE",
    )
    assert outcome.rows == Counts(new=1, refused=6)
    assert hospital.refusals == [
        (2, "sex", "sex"),
        (3, "age", "no_age"),
        (4, "age", "no_digits"),
        (4, "diagnosis", "diagnosis"),
        (4, "recruited_on", "impossible_date"),
        (5, "subject_id", "empty_cell"),
        (6, "", "ragged"),
        (7, "recruited_on", "date_out_of_range"),
    ]
    assert all(str(problem.remedy) for problem in hospital.problems)


def test_one_key_twice_refuses_both_and_says_how_they_differ(
    hospital: Hospital, sites: dict[str, Site]
) -> None:
    outcome = hospital.subjects(
        "S001,M,45,cirrhosis,", "S002,F,38,cirrhosis,", "s001 ,M,54,cirrhosis,", site="GE"
    )
    assert outcome.rows == Counts(new=1, refused=2)
    first, second = hospital.problems
    assert (first.line, second.line) == (2, 4)
    assert "line 4" in str(first.sentence)
    assert "age 45 / 54" in str(first.sentence)


def test_sites_are_known_by_code_or_name_and_never_made_beside_others(
    hospital: Hospital, sites: dict[str, Site]
) -> None:
    header = "subject_id,site,sex,age,diagnosis\n"
    outcome = hospital(
        Subjects(),
        header + "S001,ge,M,45,LF\nS002,Guangzhou South,M,45,LF\nS003,Beijing,M,45,LF\nS004,,M,45,LF\n",
    )
    assert outcome.rows == Counts(new=2, refused=2)
    assert dict(Patient.objects.values_list("subject_id", "site__code")) == {"S001": "GE", "S002": "GS"}
    assert [(p.line, p.rule) for p in hospital.problems] == [(4, "site"), (5, "no_site")]
    assert "GE (Guangzhou East)" in str(hospital.problems[0].remedy)
    assert Site.objects.count() == 2


@pytest.mark.parametrize(("site", "codes"), [("", {"S"}), ("KL", {"KL"})])
def test_an_empty_study_gets_its_first_site(hospital: Hospital, site: str, codes: set[str]) -> None:
    outcome = hospital.subjects("S001,M,45,cirrhosis,", site=site)
    assert outcome.rows == Counts(new=1)
    assert set(Site.objects.values_list("code", flat=True)) == codes


def test_an_empty_study_takes_the_sites_of_its_first_file(hospital: Hospital) -> None:
    header = "subject_id,site,sex,age,diagnosis\n"
    rows = "S001,Centre 1,M,45,LF\nS002,Centre 2,M,45,LF\nS003,Centre 1,F,33,LC\nS004,GE,F,33,LC\n"
    assert hospital(Subjects(), header + rows, commit=False).rows == Counts(new=4)
    assert not Site.objects.exists(), "a preview founds no site"
    hospital(Subjects(), header + rows)
    assert set(Site.objects.values_list("name", flat=True)) == {"Centre 1", "Centre 2", "GE"}
    assert Patient.objects.get(subject_id="S003").site.name == "Centre 1"


def test_a_person_of_one_site_imports_into_it_alone(
    hospital: Hospital, coordinator: User, sites: dict[str, Site]
) -> None:
    factories.a_patient(site=sites["GS"], subject_id="GS-001")
    hospital.by = coordinator
    outcome = hospital.subjects("GE-001,M,45,cirrhosis,", "GS-001,M,45,cirrhosis,")
    assert outcome.rows == Counts(new=1, refused=1)
    assert Patient.objects.get(subject_id="GE-001").site == sites["GE"]
    hospital.visits("GS-001,0,,44,,", "GE-001,0,,44,,")
    assert hospital.refusals == [(2, "subject_id", "unknown_subject")]


# --- visits ---------------------------------------------------------------------------------


def test_visits_come_in_exactly_as_written(hospital: Hospital, patient: Patient) -> None:
    outcome = hospital.visits(
        "S001,0,2015-01-05,312,285.5,71", "S001,4,,<3.0,14.1 mg/dL,", "S001,12,2015-03-30,,,"
    )
    assert outcome.rows == Counts(new=3)
    assert outcome.values == Counts(new=7)
    assert value("S001", 0, "tbil") == Decimal("285.5")
    converted = LabResult.objects.get(visit__week=4, analyte="tbil")
    assert (converted.value, converted.typed_text, converted.typed_unit) == (
        Decimal("241.11"),
        "14.1 mg/dL",
        "mg/dL",
    )
    censored = LabResult.objects.get(visit__week=4, analyte="alt")
    assert (censored.comparator, censored.value, censored.typed_text) == ("<", 3, "<3.0")
    assert Visit.objects.get(week=4).visited_on is None
    assert Visit.objects.get(week=12).lab_results.count() == 0


def test_a_unit_column_a_header_and_a_mapping_are_obeyed(hospital: Hospital, patient: Patient) -> None:
    hospital.visits("S001,0,10,mg/dL,3.5", header="subject_id,week,tbil,tbil_unit,albumin (g/dL)\n")
    assert (value("S001", 0, "tbil"), value("S001", 0, "albumin")) == (171, 35)
    hospital.visits(
        "S001,1,10",
        header="subject_id,week,tbil\n",
        said=options_of({"columns": {}, "units": {"tbil": "mg/dL"}}),
    )
    assert value("S001", 1, "tbil") == 171


@pytest.mark.parametrize(
    ("header", "row", "rule", "named"),
    [
        ("subject_id,week,tbil,tbil_unit", "S001,0,10 umol/L,mg/dL", "two_units", "mg/dL, umol/L"),
        ("subject_id,week,tbil,tbil_unit", "S001,0,10,mg/L", "unit_not_accepted", "mg/L"),
        ("subject_id,week,alt", "S001,0,40 mg/dL", "unit_not_accepted", "ALT"),
        ("subject_id,week,alt", "S001,0,0", "hard_limit", "between 1 and 10000"),
        ("subject_id,week,creatinine", "S001,0,0.9", "hard_limit", "mg/dL"),
        ("subject_id,week,tbil", 'S001,0,"1,5"', "comma", "1.5"),
        ("subject_id,week,tbil", "S001,0,NaN", "no_digits", "NaN"),
        ("subject_id,week,tbil", "S001,0,1e400", "exponent", "1e400"),
        ("subject_id,week,tbil,tbil_missing", "S001,0,12,lost", "value_and_reason", "reason"),
        ("subject_id,week,tbil,tbil_missing", "S001,0,,eaten", "missing_reason", "eaten"),
        ("subject_id,week,alt", "合计,6,0", "total_row", "Leave the row out"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(
    hospital: Hospital, patient: Patient, header: str, row: str, rule: str, named: str
) -> None:
    outcome = hospital.visits(row, header=header + "\n")
    assert outcome.rows == Counts(refused=1)
    (problem,) = hospital.problems
    assert (problem.line, problem.rule) == (2, rule)
    assert named in f"{problem.sentence} {problem.remedy}"
    assert not LabResult.objects.exists()


@pytest.mark.parametrize(
    ("cells", "column", "value"),
    [
        ("S001,0,tbil,10,mg/L,,", "unit", "mg/L"),
        ("S001,0,tbil,10 umol/L,mg/dL,,", "unit", "mg/dL"),
        ("S001,0,tbil,10 mg/L,,,", "value", "10 mg/L"),
        ("S001,0,alt,10 mg/dL,,,", "value", "10 mg/dL"),
        ("S001,0,alt,10,,about,", "sign", "about"),
        ("S001,0,alt,ten,,<,", "value", "ten"),
        ("S001,0,alt,,,,eaten", "missing", "eaten"),
        ("S001,0,alt,haemolysed,,,lost", "value", "haemolysed"),
    ],
)
def test_what_is_wrong_in_a_long_row_is_named_under_its_own_column(
    hospital: Hospital, patient: Patient, cells: str, column: str, value: str
) -> None:
    header = "subject_id,week,analyte,value,unit,sign,missing\n"
    hospital.visits(cells, header=header, said=options_of({"columns": {"sign": "comparator"}}))
    (problem,) = hospital.problems
    assert (problem.column, problem.value) == (column, value), problem


def test_reasons_and_words_for_nothing(hospital: Hospital, patient: Patient) -> None:
    hospital.visits(
        "S001,0,NA,haemolysed,", "S001,1,not drawn,N/A,lost", header="subject_id,week,alt,ast,tbil_missing\n"
    )
    reasons = dict(LabResult.objects.values_list("analyte", "missing_reason"))
    assert reasons == {"ast": "haemolysed", "alt": "not_drawn", "tbil": "lost"}


def test_a_whole_column_in_the_wrong_unit_refuses_the_file(hospital: Hospital, patient: Patient) -> None:
    rows = [
        f"S001,{week},,,,{value}"
        for week, value in zip((0, 1, 4, 12), ("1.1", "0.9", "1.3", "1.2"), strict=True)
    ]
    with pytest.raises(FileRefused) as refusal:
        hospital.visits(*rows)
    assert refusal.value.rule == "unit_not_said"
    assert "creatinine (mg/dL)" in str(refusal.value)
    assert not Visit.objects.exists()


def test_new_same_and_conflict_by_cell(hospital: Hospital, patient: Patient) -> None:
    hospital.visits("S001,0,2015-01-05,312,285.5,", "S001,1,2015-01-12,198,241.0,")
    version = Visit.objects.get(week=0).version
    outcome = hospital.visits("S001,0,2015-01-05,312,286,71", "S001,1,2015-01-13,198,241,")
    assert outcome.rows == Counts(conflict=2)
    assert outcome.values == Counts(new=1, same=4, conflict=2)
    assert [(c.place, c.field, c.here, c.there, c.said) for c in hospital.conflicts] == [
        ("W0", "tbil", "285.5", "286", "286 umol/L"),
        ("W1", "visit_date", "2015-01-12", "2015-01-13", ""),
    ]
    assert value("S001", 0, "tbil") == Decimal("285.5")
    assert value("S001", 0, "creatinine") == 71
    # a form that is open on this visit has to notice
    assert Visit.objects.get(week=0).version == version + 1
    assert LabResult.objects.get(analyte="creatinine").version == version + 1
    assert Visit.objects.get(week=1).version == 1


def test_an_imported_value_collides_with_an_open_form(
    hospital: Hospital, patient: Patient, data_manager: User
) -> None:
    hospital.visits("S001,0,2015-01-05,312,285.5,71")
    seen = Visit.objects.get(week=0).version
    hospital.visits("S001,0,2015-01-05,300,285.5,71", overwrite=True)
    entry = actions.LabEntry(analyte="alt", value=Decimal(299), typed_text="299", typed_unit="U/L")
    with pytest.raises(actions.Conflict):
        actions.record_labs(
            patient=patient,
            week=0,
            entries=[entry],
            by=data_manager,
            reason="typing slip corrected",
            version=seen,
        )


def test_a_coded_reason_gives_way_only_with_consent(hospital: Hospital, patient: Patient) -> None:
    hospital.visits("S001,0,,lost", header="subject_id,week,visit_date,alt_missing\n")
    assert hospital.visits("S001,0,,312,,").rows == Counts(conflict=1)
    assert hospital.visits("S001,0,,312,,", overwrite=True).rows == Counts(changed=1)
    assert value("S001", 0, "alt") == 312


def test_subjects_that_are_not_there_are_named_with_the_nearest(hospital: Hospital, patient: Patient) -> None:
    outcome = hospital.visits("S010,0,,312,,", "S999,0,,312,,", ",0,,312,,", "S001,0,,312,,")
    assert outcome.rows == Counts(new=1, refused=3)
    assert [(p.line, p.value, p.rule) for p in hospital.problems] == [
        (2, "S010", "unknown_subject"),
        (3, "S999", "unknown_subject"),
        (4, "", "no_subject"),
    ]
    assert "S001" in str(hospital.problems[0].remedy)
    assert "S001" not in str(hospital.problems[1].remedy)
    assert not Patient.objects.filter(subject_id__in=["S010", "S999"]).exists()


def test_a_visit_twice_is_refused_both_times_even_when_one_row_is_bad(
    hospital: Hospital, patient: Patient
) -> None:
    outcome = hospital.visits("S001,0,,312,,", "S001,1,,198,,", "S001,W0,,213,,", "S001,0,,abc,,")
    assert outcome.rows == Counts(new=1, refused=3)
    twice = [problem for problem in hospital.problems if problem.rule == "twice"]
    assert [problem.line for problem in twice] == [2, 4, 5]
    assert "S001, 0" in str(twice[0].sentence)
    assert "alt 312 / 213" in str(twice[0].sentence)
    assert not LabResult.objects.filter(visit__week=0).exists()


def test_what_is_no_row_of_a_subject_is_refused_once(hospital: Hospital, patient: Patient) -> None:
    again = "受试者编号,周,日期,ALT,总胆红素,肌酐"
    outcome = hospital.visits(
        "S001,0,,312,17,",
        VISITS.strip(),
        again,
        "参考值,,,9-50,5-21,41-97",
        ",,,审核：,,",
        "第1页 共2页,,,,,",
    )
    assert outcome.rows == Counts(new=1, refused=5)
    assert [(p.line, p.rule) for p in hospital.problems] == [
        (3, "header_again"), (4, "header_again"), (5, "subject_code"), (6, "no_subject"), (7, "subject_code"),
    ]  # fmt: skip


def test_numbers_of_visits_are_no_weeks(hospital: Hospital, patient: Patient) -> None:
    rows = [f"S001,{number},9" for number in range(1, 6)]
    with pytest.raises(FileRefused, match="2, 3, 5 are no weeks") as refusal:
        hospital.visits(*rows, header="subject_id,访视,alt\n", commit=False)
    assert refusal.value.rule == "visit_numbers"
    assert hospital.visits(*rows, header="subject_id,访视周,alt\n", commit=False).rows == Counts(
        new=2, refused=3
    )


def test_a_unit_that_nobody_named_is_said(hospital: Hospital, patient: Patient) -> None:
    hospital.visits(
        "S001,0,312,17,1.2", header="subject_id,week,谷丙转氨酶,TBIL (umol/L),inr\n", commit=False
    )
    assert hospital.notices == ["Read in the unit of the study, because the file names none: 谷丙转氨酶 U/L."]
    hospital.visits("S001,0,1.2,38,15", header="subject_id,week,inr,pta,afp\n", commit=False)
    assert hospital.notices == []
    long = "subject_id,week,analyte,value,unit\n"
    hospital.visits("S001,0,alt,9,U/L", "S001,0,tbil,17,", "S001,0,inr,1,", header=long, commit=False)
    assert hospital.notices == ["Read in the unit of the study, because the file names none: tbil µmol/L."]


def test_of_rows_that_say_the_same_the_first_is_taken(hospital: Hospital, patient: Patient) -> None:
    same, other = "S001,0,2015-01-05,312,17,", "S001,1,2015-01-12,198,,"
    rows = (same, other, same, "S001,1,2015-01-12,198,20,", same, "S001,4,,abc,3,", "S001,4,,abc,3,")
    for commit in (False, True):
        outcome = hospital.visits(*rows, commit=commit)
        assert (outcome.rows, outcome.values.new) == (Counts(new=1, refused=6), 3), commit
        twice = {problem.line: problem for problem in hospital.problems if problem.rule == "twice"}
        assert sorted(twice) == [3, 4, 5, 6, 7, 8]
        for line in (4, 6):
            assert "which says the same" in str(twice[line].sentence)
            assert str(twice[line].remedy) == "Leave this row out: line 2 stands for it."
        # what differs, and what has another fault, wins nothing
        assert all("none of them was stored" in str(twice[line].remedy) for line in (3, 5, 7, 8))
    assert list(LabResult.objects.order_by("analyte").values_list("visit__week", "analyte", "value")) == [
        (0, "alt", 312),
        (0, "tbil", 17),
    ]
    long = "subject_id,week,analyte,value\n"
    # a value written in two ways is one value; other units make another one
    rows = ("S001,12,alt,50", "S001,12,GPT,50.0 U/L", "S001,12,tbil,17", "S001,12,tbil,17 mg/dL", "S001,12,ast,9",
            "S001,24,alt,溶血", "S001,24,alt,50")  # fmt: skip
    assert hospital.visits(*rows, header=long).rows == Counts(new=2, refused=5)
    said = [str(problem.sentence) for problem in hospital.problems]
    assert "tbil 17 / 17 mg/dL" in said[1] and "alt haemolysed / 50" in said[3]
    assert value("S001", 12, "alt") == 50
    outcome = hospital.subjects(*["S002,M,45,liver_failure,2014-12-29"] * 3, site="GE")
    assert outcome.rows == Counts(new=1, refused=2)


@pytest.mark.parametrize("week", ["13", "-1", "", "1.5"])
def test_a_week_that_is_none_is_refused_with_the_list(
    hospital: Hospital, patient: Patient, week: str
) -> None:
    hospital.visits(f"S001,{week},2015-01-05,312,,")
    assert "0, 1, 4, 12, 24" in f"{hospital.problems[0].sentence} {hospital.problems[0].remedy}"
    assert not Visit.objects.exists()


def test_unscheduled_draws_need_a_date(hospital: Hospital, patient: Patient) -> None:
    outcome = hospital.visits(
        "S001,unscheduled,2015-01-09,312,,", "S001,计划外,,44,,", "S001,unscheduled,2015-01-10,55,,"
    )
    assert outcome.rows == Counts(new=2, refused=1)
    assert hospital.refusals == [(3, "visit_date", "no_date")]
    assert list(Visit.objects.values_list("week", "visited_on").order_by("visited_on")) == [
        (None, date(2015, 1, 9)),
        (None, date(2015, 1, 10)),
    ]
    again = hospital.visits("S001,unscheduled,2015-01-09,312,,")
    assert again.rows == Counts(same=1)


def test_days_that_cannot_be_are_refused(hospital: Hospital, patient: Patient, data_manager: User) -> None:
    actions.record_outcome(
        patient=patient, kind=OutcomeKind.DEATH, happened_on=date(2024, 3, 1), by=data_manager, note=""
    )
    tomorrow = timezone.localdate() + timedelta(days=2)
    hospital.visits(
        f"S001,0,{tomorrow},40,,",
        "S001,1,2024-03-02,40,,",
        "S001,4,1970-01-01,40,,",
        "S001,12,2024-02-29,40,,",
    )
    assert {(line, rule) for line, _column, rule in hospital.refusals} == {
        (2, "future"),
        (4, "before_birth"),
    }
    # a draw after the death is kept, and asked about
    assert DataQuery.objects.filter(visit__week=1, visit__patient=patient, check_code="after_death").exists()


def test_a_long_file_is_one_row_per_value(hospital: Hospital, patient: Patient) -> None:
    header = "subject_id,week,visit_date,analyte,value,unit\n"
    outcome = hospital.visits(
        "S001,0,2015-01-05,ALT,312,",
        "S001,0,2015-01-05,总胆红素,10,mg/dL",
        "S001,0,2015-01-05,ferritin,10,",
        "S001,1,2015-01-12,inr,1.8,",
        "S001,1,2015-01-13,alt,198,",
        "S001,4,,alt,76,",
        "S001,4,,GPT,77,",
        header=header,
    )
    assert outcome.rows == Counts(new=2, refused=5)
    assert dict(LabResult.objects.values_list("analyte", "value")) == {"alt": 312, "tbil": 171}
    assert {(line, rule) for line, _column, rule in hospital.refusals} == {
        (4, "analyte"),
        (5, "two_dates"),
        (6, "two_dates"),
        (7, "twice"),
        (8, "twice"),
    }
    assert hospital.visits("S001,0,2015-01-05,ALT,312,", header=header).rows == Counts(same=1)


def test_a_long_file_without_a_value_column_is_refused(hospital: Hospital, patient: Patient) -> None:
    with pytest.raises(FileRefused, match=r"column_missing|value"):
        hospital.visits("S001,0,alt", header="subject_id,week,analyte\n")


def test_a_voided_visit_does_not_stand_in_the_way(
    hospital: Hospital, patient: Patient, data_manager: User
) -> None:
    visit = factories.a_visit(patient, 0, alt="99")
    actions.void_visit(visit=visit, by=data_manager, reason="belonged to another subject or visit")
    assert hospital.visits("S001,0,,312,,").rows == Counts(new=1)
    assert list(LabResult.objects.filter(visit__voided_at=None).values_list("value", flat=True)) == [312]


# --- the machine ----------------------------------------------------------------------------


def test_a_preview_writes_nothing(hospital: Hospital, patient: Patient) -> None:
    before = audit.latest_revision()
    outcome = hospital.visits("S001,0,2015-01-05,312,285.5,71", commit=False)
    assert outcome.rows == Counts(new=1)
    assert (outcome.subjects, outcome.revision) == (1, None)
    assert not Visit.objects.exists()
    assert audit.latest_revision() == before


def test_nothing_of_an_import_stays_behind(hospital: Hospital, patient: Patient) -> None:
    hospital.visits("S001,0,2015-01-05,312,285.5,71")
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relpersistence = 't' AND relname LIKE 'import%%'")
        assert cursor.fetchall() == []
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] != "0"


def test_rows_beyond_a_block_keep_their_lines(
    hospital: Hospital, sites: dict[str, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ROWS_PER_BLOCK", 3)
    rows = [f"S{n:03},{'M' if n % 4 else 'X'},45,cirrhosis," for n in range(20)]
    outcome = hospital.subjects(*rows, site="GE")
    assert outcome.rows == Counts(new=15, refused=5)
    assert [line for line, _column, _rule in hospital.refusals] == [2, 6, 10, 14, 18]


def test_refusals_are_listed_across_pages(
    hospital: Hospital, sites: dict[str, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = staging.problems
    monkeypatch.setattr(staging, "PROBLEMS_PER_PAGE", 3)
    assert whole is staging.problems
    hospital.subjects(*[f"S{n:03},X,abc,cirrhosis," for n in range(5)], site="GE")
    assert [(line, column) for line, column, _rule in hospital.refusals] == [
        (line, column) for line in range(2, 7) for column in ("age", "sex")
    ]


def test_a_write_in_between_is_judged_again(
    hospital: Hospital, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []
    write = Visits.write

    def disturbed(self: Visits, context: Context) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise Moved
        write(self, context)

    monkeypatch.setattr(Visits, "write", disturbed)
    assert hospital.visits("S001,0,2015-01-05,312,285.5,71").rows == Counts(new=1)
    assert len(attempts) == 2

    monkeypatch.setattr(Visits, "write", lambda self, context: (_ for _ in ()).throw(Moved()))
    with pytest.raises(Busy):
        hospital.visits("S001,1,2015-01-12,198,241,")
    assert not Visit.objects.filter(week=1).exists()


@pytest.mark.committed
def test_a_coordinator_who_saves_meanwhile_is_not_overwritten(tmp_path: Path, data_manager: User) -> None:
    """The import has judged a cell as empty; before it writes, the ward fills it."""
    patient = factories.a_patient(subject_id="S001")
    hospital = Hospital(tmp_path, data_manager)
    judged, written = threading.Event(), threading.Event()
    write = Visits.write

    def wait(self: Visits, context: Context) -> None:
        if not judged.is_set():
            judged.set()
            assert written.wait(10)
        write(self, context)

    def ward() -> None:
        assert judged.wait(10)
        factories.a_visit(patient, 0, date(2015, 1, 5), alt="400")
        connection.close()
        written.set()

    saving = threading.Thread(target=ward)
    saving.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Visits, "write", wait)
        outcome = hospital.visits("S001,0,2015-01-05,312,285.5,71")
    saving.join()
    assert outcome.rows == Counts(conflict=1)
    assert value("S001", 0, "alt") == 400
    assert value("S001", 0, "tbil") == Decimal("285.5")


def test_an_error_while_writing_leaves_nothing(
    hospital: Hospital, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Visits.write

    def broken(self: Visits, context: Context) -> None:
        write(self, context)
        raise ZeroDivisionError

    monkeypatch.setattr(Visits, "write", broken)
    before = audit.latest_revision()
    with pytest.raises(ZeroDivisionError):
        hospital.visits("S001,0,2015-01-05,312,285.5,71")
    assert not Visit.objects.exists()
    assert audit.latest_revision() == before


@pytest.mark.parametrize(("slip", "code"), [("GE-070", "GE-007"), ("GE-0070", "GE-007"), ("GE-07", "GE-007")])
def test_one_slip_of_the_keyboard_is_found(slip: str, code: str) -> None:
    assert code in one_letter_away(slip)


def test_progress_is_told(
    hospital: Hospital, patient: Patient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importing, "ROWS_PER_BLOCK", 2)
    told: list[tuple[int, int, str]] = []
    path = tmp_path / "progress.csv"
    path.write_text(VISITS + "".join(f"S001,{week},,312,,\n" for week in (0, 1, 4, 12, 24)))
    context = Context(by=hospital.by, today=timezone.localdate())
    tell: Callable[[int, int, str], None] = lambda done, total, text: told.append((done, total, text))  # noqa: E731
    with opened(path, name=path.name, kind=Visits(), context=context, progress=tell) as staged:
        assert isinstance(staged, Import)
        staged.commit(reason="x", progress=tell)
    assert [done for done, _total, _text in told] == [2, 4, 6, 7]
    assert all(done <= total for done, total, _text in told)
    assert told[-1][2] == "Writing"
