"""Subjects: one row each, new ones enrolled at their site."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from django.db import connection

from patients.imports import cells
from patients.imports.columns import Field
from patients.imports.kinds import (
    SUBJECT,
    Context,
    header_of,
    refuse_twins,
    say_how_twins_differ,
)
from patients.imports.problems import Problem
from patients.imports.records import JUDGED, STAGED, RecordColumn, RecordKind, RecordReader, staged_cells
from patients.imports.staging import Stage, refuse_where
from patients.imports.tables import Table
from patients.imports.words import STATUSES, narrow
from trial import locks, typed
from trial.lock_functions import SITE_FROZEN
from trial.models import Site
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


FIRST_SITE_CODE = "S"
FIRST_SITE_NAME = "Site 1"
_MOST_SITES_NAMED = 12
_MOST_NAMED = 12
_FOUR_DIGITS = re.compile("[0-9]{4}")
_PLAIN_CODE = (
    "regexp_replace(translate(regexp_replace(code, '(?<=[A-Z])[-_.]|[-_.](?=[A-Z])', '', 'g'), 'OIL', '011'),"
    " '(^|[^0-9])0+([0-9])', '\\1\\2', 'g')"
)
"""SQL that makes one of S-001, S001, S0O1 and S1."""


class Subjects(RecordKind):
    """Kind ``subjects``."""

    name = "subjects"
    fields = (
        SUBJECT,
        Field("site", ("site code", "site id", "centre", "center", "hospital", "中心", "中心编号", "医院")),
        Field("sex", ("gender", "性别"), required=True),
        Field(
            "birth_date", ("birthdate", "date of birth", "dob", "birthday", "born on", "出生日期", "出生年月日", "生日")
        ),
        Field("age", ("age at recruitment", "age years", "age in years", "年龄", "年龄 岁"),
              units=("years", "岁", "周岁")),
        Field("diagnosis", ("dx", "disease", "诊断", "疾病"), required=True),
        Field(
            "recruited_on",
            ("recruited", "recruitment date", "date of recruitment", "enrolled on", "enrolment date", "enrollment date",
             "入组日期", "入选日期", "纳入日期"),
        ),
        Field("planned_course", ("course", "planned treatment", "计划疗程", "疗程")),
        Field("status", ("subject status", "状态", "受试者状态")),
    )  # fmt: skip
    dates = frozenset({"birth_date", "recruited_on"})
    numbers = frozenset({"age"})
    tables = {
        STAGED: "line integer, subject text, site text, sex text, birth_date date, age numeric, diagnosis text,"
        " recruited_on date, planned_course text, status text"
    }
    target = "patients_patient"
    key = "LEFT JOIN patients_patient t ON t.subject_id = s.subject"
    keys = ("subject",)
    columns = (
        RecordColumn(
            "site",
            "text",
            "site_id",
            here="(SELECT code FROM trial_site WHERE id = t.site_id)",
            written="(SELECT id FROM trial_site WHERE code = j.site)",
        ),
        RecordColumn("sex", "text", "sex"),
        RecordColumn("birth_date", "date", "birth_date"),
        RecordColumn("age", "numeric", "age_at_recruitment"),
        RecordColumn("diagnosis", "text", "diagnosis"),
        RecordColumn("recruited_on", "date", "recruited_on"),
        RecordColumn("planned_course", "text", "planned_course"),
        RecordColumn("status", "text", "status"),
    )
    defaults = {"subject_id": "j.subject", "version": "1"}
    # who is in a file of subjects was enrolled, unless the file says otherwise
    not_null = {"planned_course": "''", "status": "'enrolled'"}

    def reader(self, table: Table, stage: Stage, context: Context) -> Callable[[int, list[str]], None]:
        return _SubjectReader(table, stage, context).read

    def check(self, table: Table, context: Context) -> None:
        lines = refuse_twins(STAGED, self.keys, table, ("subject_id",))
        if lines:
            say_how_twins_differ(staged_cells(lines))
        refuse_where(
            f"{STAGED} s JOIN patients_patient t ON t.subject_id = s.subject"
            " WHERE %(scope)s::bigint IS NOT NULL AND t.site_id <> %(scope)s",
            context.parameters,
            rule="other_site",
            column=header_of(table, "subject_id"),
            value="s.subject",
            sentence=Sentence(_("This code is already in use.")),
            remedy=Sentence(_("Give the subject another code.")),
        )
        _refuse_other_status(table)
        _say_codes_alike(table, context)
        _say_ages_apart(table)
        self._refuse_strange_sites(table, context)
        self._refuse_new_at_frozen_sites(table)

    def _refuse_new_at_frozen_sites(self, table: Table) -> None:
        sentence, remedy = locks.words(SITE_FROZEN)
        refuse_where(
            f"{STAGED} s JOIN trial_site h ON h.code = s.site WHERE h.frozen_at IS NOT NULL"
            " AND NOT EXISTS (SELECT FROM patients_patient t WHERE t.subject_id = s.subject)",
            {},
            rule=SITE_FROZEN,
            column=header_of(table, "site"),
            value="s.site",
            sentence=Sentence(sentence, {"site": ""}),
            remedy=Sentence(remedy),
            gaps={"site": "s.site"},
        )

    def _refuse_strange_sites(self, table: Table, context: Context) -> None:
        sites = sites_by_word()
        if not sites:
            return  # an empty study takes its sites from the file
        own = context.scope
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT DISTINCT site FROM {STAGED} WHERE site IS NOT NULL")
            words = [word for (word,) in cursor.fetchall()]
            for word in words:
                site = sites.get(word.casefold())
                if site is not None and (own is None or site.pk == own):
                    cursor.execute(f"UPDATE {STAGED} SET site = %s WHERE site = %s", [site.code, word])
        names = [
            f"{site.code} ({site.name})"
            for site in sorted(set(sites.values()), key=lambda s: s.code)
            if own is None or site.pk == own
        ]
        known = [site.code for site in set(sites.values()) if own is None or site.pk == own]
        remedy = Sentence(_("The sites are: %(sites)s."), {"sites": ", ".join(names[:_MOST_SITES_NAMED])})
        refuse_where(
            f"{STAGED} s WHERE site IS NOT NULL AND site <> ALL(%(known)s)",
            {"known": known},
            rule="site",
            column=header_of(table, "site"),
            value="s.site",
            sentence=Sentence(_("There is no site %(site)s."), {"site": ""}),
            remedy=remedy,
            gaps={"site": "s.site"},
        )
        refuse_where(
            f"{STAGED} s WHERE site IS NULL"
            " AND NOT EXISTS (SELECT FROM patients_patient t WHERE t.subject_id = s.subject)",
            {},
            rule="no_site",
            column=header_of(table, "site"),
            value="''",
            sentence=Sentence(_("It is not said to which site the subject belongs.")),
            remedy=remedy,
        )

    def write(self, context: Context) -> None:
        _found_sites(context)
        super().write(context)


def _say_codes_alike(table: Table, context: Context) -> None:
    """Say which new codes differ from others by no more than signs, zeros in front, or letters like digits."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH new AS (SELECT DISTINCT subject AS code FROM {STAGED} s WHERE NOT EXISTS"
            " (SELECT FROM patients_patient t WHERE t.subject_id = s.subject)), known AS (SELECT code FROM new UNION"
            " SELECT subject_id FROM patients_patient WHERE %(scope)s::bigint IS NULL OR site_id = %(scope)s),"
            f" plain AS (SELECT code, {_PLAIN_CODE} AS plain FROM known)"
            " SELECT string_agg(code, ' / ' ORDER BY code) FROM plain GROUP BY plain"
            " HAVING count(*) > 1 AND bool_or(code IN (SELECT code FROM new)) ORDER BY 1 LIMIT %(most)s",
            {**context.parameters, "most": _MOST_NAMED + 1},
        )
        alike = [codes for (codes,) in cursor.fetchall()]
    if alike:
        _say(
            table,
            _("Codes that look alike: %(codes)s. If they mean one subject, correct them before you import."),
            alike,
        )


def _say_ages_apart(table: Table) -> None:
    """Say whose age is not that of the day of birth; both are kept, as the form keeps them."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subject FROM {STAGED} WHERE"
            " abs(floor(age) - extract(year FROM age(recruited_on, birth_date))) > 1 ORDER BY line LIMIT %s",
            [_MOST_NAMED + 1],
        )
        subjects = [subject for (subject,) in cursor.fetchall()]
    if subjects:
        _say(
            table,
            _("Age and date of birth do not fit each other: %(codes)s. Look which of them is right."),
            subjects,
        )


def _say(table: Table, sentence: str, codes: list[str]) -> None:
    """Note something about subjects, once: the rows are judged again when they are written."""
    more = ["…"] if len(codes) > _MOST_NAMED else []
    notice = Sentence(sentence, {"codes": ", ".join(codes[:_MOST_NAMED] + more)})
    if str(notice) not in map(str, table.facts.notices):
        table.facts.notices.append(notice)


def _refuse_other_status(table: Table) -> None:
    """Refuse to move a subject from screening to the study or back: that follows its screening and its enrolment."""
    refuse_where(
        f"{STAGED} s JOIN patients_patient t ON t.subject_id = s.subject WHERE s.status <> t.status",
        {},
        rule="status",
        column=header_of(table, "status"),
        value="s.status",
        sentence=Sentence(_("The subject is %(here)s, the file says %(there)s."), {"here": "", "there": ""}),
        remedy=Sentence(_("Empty the cell; screen or enrol the subject where its status is to change.")),
        gaps={"here": "t.status", "there": "s.status"},
    )


def sites_by_word() -> dict[str, Site]:
    """Return the sites by everything a file may call them: code or name, in any case."""
    sites = list(Site.objects.all())
    return {
        **{site.name.casefold(): site for site in sites},
        **{site.code.casefold(): site for site in sites},
    }


def _found_sites(context: Context) -> None:
    """Found the sites that the first file of an empty study names."""
    if Site.objects.exists():
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT coalesce(site, '') FROM {JUDGED} WHERE target_id IS NULL ORDER BY 1")
        words = [word for (word,) in cursor.fetchall()]
        taken: set[str] = set()
        for word in words:
            code = _code_for(word or context.site or FIRST_SITE_CODE, taken)
            taken.add(code)
            Site.objects.create(code=code, name=word or FIRST_SITE_NAME)
            cursor.execute(f"UPDATE {JUDGED} SET site = %s WHERE coalesce(site, '') = %s", [code, word])


def _code_for(word: str, taken: set[str]) -> str:
    letters = "".join(letter for letter in word.upper() if "A" <= letter <= "Z")[:8] or FIRST_SITE_CODE
    if letters not in taken:
        return letters
    # codes are capital letters only, so a second "CENTRE" becomes CENTREA, CENTREB ...
    return next(
        code
        for first in ("", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        for second in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        if (code := f"{letters[:6]}{first}{second}") not in taken
    )


class _SubjectReader(RecordReader):
    def __init__(self, table: Table, stage: Stage, context: Context) -> None:
        super().__init__(table, stage, context)
        self._site = context.site or self._only_site(context)

    @staticmethod
    def _only_site(context: Context) -> str:
        sites = list(Site.objects.all()[:2])
        if context.by.site is not None:
            return context.by.site.code
        return sites[0].code if len(sites) == 1 else ""

    def read(self, line: int, row: list[str]) -> None:
        subject = self.required(line, row, "subject_id", cells.read_subject)
        if subject is None:
            return
        sex = self.required(line, row, "sex", cells.read_sex)
        diagnosis = self.required(line, row, "diagnosis", cells.read_diagnosis)
        birth = self.cell(line, row, "birth_date", self._birth)
        age = self.cell(line, row, "age", lambda text: cells.read_age(text, self.manner))
        recruited = self.cell(line, row, "recruited_on", self.past_day)
        course = self.cell(line, row, "planned_course", cells.read_course)
        status = self.cell(line, row, "status", STATUSES.read)
        site = self.text(row, "site").strip() or self._site or None
        if birth is None and age is None and not self.text(row, "age") and not self.text(row, "birth_date"):
            self.stage.refuse(
                Problem(
                    line,
                    self.header("age"),
                    "",
                    "no_age",
                    Sentence(_("Neither an age nor a date of birth is given.")),
                    Sentence(_("Give one of them; the other may stay empty.")),
                )
            )
        if birth is not None and recruited is not None and recruited <= birth:
            self.stage.refuse(
                Problem(
                    line,
                    self.header("recruited_on"),
                    recruited.isoformat(),
                    "before_birth",
                    Sentence(
                        _("Recruited on %(recruited)s, before the birth on %(birth)s."),
                        {"recruited": recruited.isoformat(), "birth": birth.isoformat()},
                    ),
                    Sentence(_("Correct one of the dates.")),
                )
            )
        if birth is not None and recruited is not None and age == _years_between(birth, recruited):
            age = None  # it follows from the two days, and would not follow them when one is corrected
        self.stage_record(line, subject, site, sex, birth, age, diagnosis, recruited, course, status)

    def _birth(self, text: str) -> date:
        """Read a day of birth, of which a year of two digits may be of either century."""
        day = self.past_day(text)
        if not _FOUR_DIGITS.search(narrow(text)):
            raise Unreadable(
                "two_digit_year",
                text,
                Sentence(
                    _("“%(value)s” has a year of two digits that may be %(early)s or %(late)s."),
                    {"value": typed.printable(text), "early": day.year - 100, "late": day.year},
                ),
                Sentence(_("Write the year with four digits.")),
            )
        return day


def _years_between(birth: date, day: date) -> int:
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
