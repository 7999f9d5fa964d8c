"""A study that never took place: a deterministic generator of the demonstration data.

No real patient is in it, and no published table could be: the paper's tables
are not available, so the levels follow published cohorts of HBV-related liver
failure and cirrhosis (ACLF cohorts of 2021 and 2024: TBIL 309-442 umol/L, INR
2.1-2.6, PTA 35 %, creatinine 81-84 umol/L, albumin 30 g/L) and ordinary
cirrhosis. What the curves do afterwards is our invention.

Built in, because a page must show it: deaths that are informative (a worse
liver dies earlier and so receives fewer infusions), missed and late visits,
values in other units and below detection limits, reasons for missing values,
subjects in the middle of their course, and one slip of the keyboard.

Pure: numpy and the protocol; "today" comes in as an argument.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from analytics.synthetic_labs import (
    LEVELS,
    PANEL,
    SLOTS,
    Array,
    Draws,
    Luck,
    course_of_values,
    printed_panel,
)
from analytics.synthetic_study import (
    SITES,
    AnsweredCriterion,
    GivenInfusion,
    Lot,
    SeenVisit,
    Slip,
    Study,
    Subject,
)
from trial import protocol
from trial.protocol import Answer, Course, Diagnosis, OutcomeKind

PAPER_GROUPS = {"A": 37, "B": 27, "C": 28, "D": 31}
DEFAULT_PATIENTS = sum(PAPER_GROUPS.values())

SCREEN_FAILURES = 0.35
"""Subjects that fail their screening, per treated subject."""
IN_SCREENING = IN_RUN_IN = 1 / 30
IN_COURSE = 0.14
"""Share of each group that is in the middle of its infusions today."""
DAYS_OF_RECRUITMENT = 760
LATE_INFUSIONS = 0.16
OTHER_UNIT_SITE, OTHER_UNIT_SHARE = "FO", 0.35
MOST_WEEKS_TO_DEATH = 40.0


def generate(*, patients: int = DEFAULT_PATIENTS, seed: int = 1, today: date) -> Study:
    """Make a study.

    Parameters
    ----------
    patients
        Treated subjects, in the proportions of the paper's groups; subjects in
        run-in, in screening and screen failures come on top.
    seed
        The same seed, number and day give the same study.
    today
        The day follow-up has reached.

    Returns
    -------
    Study
    """
    random = np.random.default_rng(seed)
    subjects = [
        *_treated(random, patients, today),
        *_untreated(random, patients, today),
    ]
    _number(subjects)
    lots = _assign_lots(random, subjects, today)
    study = Study(today, subjects, lots)
    study.slip = _plant_slip(study)
    return study


def group_sizes(patients: int) -> dict[str, int]:
    """Divide a number of subjects as the paper's groups are; largest remainders round up."""
    exact = {group: patients * count / DEFAULT_PATIENTS for group, count in PAPER_GROUPS.items()}
    sizes = {group: int(share) for group, share in exact.items()}
    by_remainder = sorted(exact, key=lambda group: (sizes[group] - exact[group], group))
    for group in by_remainder[: patients - sum(sizes.values())]:
        sizes[group] += 1
    return sizes


# --- treated subjects -----------------------------------------------------------------------


_INFUSIONS_OF_PROLONGED = ((5, 6, 7, 8), (0.10, 0.13, 0.15, 0.62))
_INFUSIONS_OF_STANDARD = ((1, 2, 3, 4), (0.04, 0.06, 0.10, 0.80))
_JITTER = {0: 1.0, 1: 1.0, 4: 1.8, 12: 3.5, 24: 6.0}
_MISSED = {0: 0.01, 1: 0.03, 4: 0.04, 12: 0.06, 24: 0.08}


def _treated(random: np.random.Generator, patients: int, today: date) -> list[Subject]:
    sizes = group_sizes(patients)
    groups = [group for group in protocol.GROUP_CODES for _ in range(sizes[group])]
    random.shuffle(groups)
    n = len(groups)
    draws = Draws(
        severity=random.normal(size=n),
        response=random.normal(size=n),
        uniform=random.uniform(size=(n, 24)),
        start=random.normal(size=(n, 12)),
        noise=random.normal(size=(n, len(SLOTS), len(PANEL))),
        missing=random.uniform(size=(n, len(SLOTS), len(PANEL) + 4)),
        jitter=random.normal(size=(n, len(SLOTS))),
        infusion=random.uniform(size=(n, protocol.MOST_INFUSIONS, 6)),
        dose=random.normal(size=(n, protocol.MOST_INFUSIONS)),
    )
    return [_one_treated(group, Luck(draws, i), today) for i, group in enumerate(groups)]


def _one_treated(group: str, luck: Luck, today: date) -> Subject:
    declared = next(g for g in protocol.GROUPS if g.code == group)
    prolonged = declared.course is Course.PROLONGED
    in_course = not prolonged and luck.uniform[0] < IN_COURSE
    recruited = _recruited(luck, today, prolonged=prolonged, in_course=in_course)
    subject = _person(
        luck.uniform[1:6], declared.diagnosis, recruited - timedelta(days=1 + int(5 * luck.uniform[6]))
    )
    subject.status, subject.recruited_on, subject.group = "enrolled", recruited, group
    may_go_on = prolonged or luck.uniform[7] < (0.5 if in_course else 0.10)
    subject.planned_course = (Course.PROLONGED if may_go_on else Course.STANDARD).value
    end = _end_of_observation(luck, declared.diagnosis, recruited, prolonged=prolonged)
    if end is not None and end[1] <= today:
        subject.outcomes.append(end)
    _give(subject, luck, today, prolonged=prolonged, in_course=in_course)
    _see(subject, luck, today)
    _answer(subject)
    return subject


def _recruited(luck: Luck, today: date, *, prolonged: bool, in_course: bool) -> date:
    where = luck.uniform[8]
    if in_course:
        days = 9 + int(where * 26)
    elif prolonged and luck.uniform[17] < IN_COURSE:
        days = 44 + int(where * 14)  # the fifth is given, more are to come
    elif prolonged:
        days = 62 + int(where * (DAYS_OF_RECRUITMENT - 62))
    else:
        days = 40 + int(where * (DAYS_OF_RECRUITMENT - 40))
    return today - timedelta(days=days)


def _person(uniform: Array, diagnosis: Diagnosis, screened_on: date, *, oldest: int = 60) -> Subject:
    site_at, male, age, birthday = uniform[0], uniform[1] < 0.86, uniform[2], uniform[3]
    edges = np.cumsum([site.share for site in SITES])
    site = SITES[min(int(np.searchsorted(edges, site_at)), len(SITES) - 1)]
    # a triangle around 44 years; both ends are within the criteria
    years = 19 + (oldest - 20) * (0.5 * age + 0.5 * uniform[4])
    born = screened_on - timedelta(days=int(years * 365.25) + 1 + int(birthday * 300))
    return Subject(site.code, "screening", "M" if male else "F", born, diagnosis, screened_on)


def _end_of_observation(
    luck: Luck, diagnosis: Diagnosis, recruited: date, *, prolonged: bool
) -> tuple[OutcomeKind, date] | None:
    """Return how observation ends: the worse the liver, the likelier and the earlier a death."""
    levels = LEVELS[diagnosis]
    risk = 1 / (1 + np.exp(-(levels.death_logit + 1.0 * luck.severity - 0.6 * luck.response)))
    when = luck.uniform[10]
    earliest = 7.5 if prolonged else 1.6  # who got a fifth infusion had lived to get it
    if luck.uniform[9] < risk:
        weeks = earliest + min(MOST_WEEKS_TO_DEATH, -np.log(1 - when) * 7.0)
        return OutcomeKind.DEATH, recruited + timedelta(days=int(7 * weeks))
    kinds = (
        (OutcomeKind.TRANSPLANT, 0.055 if diagnosis is Diagnosis.LIVER_FAILURE else 0.02),
        (OutcomeKind.WITHDRAWAL, 0.025),
        (OutcomeKind.LOST, 0.03),
    )
    chance, limit = luck.uniform[11], 0.0
    for kind, share in kinds:
        limit += share
        if chance < limit:
            return kind, recruited + timedelta(days=int(7 * (earliest + 1 + 20 * when)))
    return None


# --- infusions ------------------------------------------------------------------------------


def _give(subject: Subject, luck: Luck, today: date, *, prolonged: bool, in_course: bool) -> None:
    assert subject.recruited_on is not None
    counts, chances = _INFUSIONS_OF_PROLONGED if prolonged else _INFUSIONS_OF_STANDARD
    wanted = counts[min(int(np.searchsorted(np.cumsum(chances), luck.uniform[12])), len(counts) - 1)]
    if in_course:
        wanted = protocol.COURSES[Course.STANDARD]
    weight = round(48 + 32 * (0.5 * luck.uniform[13] + 0.5 * luck.uniform[14]), 1)
    ended, last = subject.ended_on, None
    for number in range(1, wanted + 1):
        chance = luck.infusion[number - 1]
        day = protocol.infusion_due(number, subject.recruited_on)
        if chance[0] < LATE_INFUSIONS:
            day += timedelta(days=1 + int(chance[1] * 5))
        if last is not None:
            day = max(day, last + timedelta(days=protocol.MINIMUM_DAYS_BETWEEN_INFUSIONS))
        if day >= today or (ended is not None and day >= ended):
            break
        settled = protocol.PROLONGED_FROM if prolonged else 1
        if (
            (in_course or prolonged)
            and number > settled
            and day > today - timedelta(days=8)
            and chance[2] < 0.4
        ):
            break  # due, and not given yet
        subject.infusions.append(_infusion(number, day, weight, chance, luck.dose[number - 1]))
        weight, last = round(weight + (chance[3] - 0.5) * 0.6, 1), day
    if not subject.infusions:
        # whoever counts as treated has one
        first = min(protocol.infusion_due(1, subject.recruited_on), today - timedelta(days=1))
        subject.infusions.append(_infusion(1, first, weight, luck.infusion[0], luck.dose[0]))


def _infusion(number: int, day: date, weight: float, chance: Array, dose: float) -> GivenInfusion:
    share = 1.0 + 0.045 * float(dose)
    short = chance[4] < 0.012
    if short:
        share = 0.62 + 0.1 * chance[5]
    cells = int(round(weight * share * 1e6 / 1e5) * 1e5)
    off = abs(cells / (weight * 1e6) - 1) > float(protocol.DOSE.tolerance)
    start = 9 * 60 + int(chance[5] * 36) * 10
    stop = start + 35 + int(chance[1] * 5) * 5
    return GivenInfusion(
        number=number,
        given_on=day,
        weight_kg=f"{weight:.1f}",
        cells=cells,
        volume_ml="100.0" if not short else "70.0",
        lot="",
        started_at=f"{start // 60:02}:{start % 60:02}",
        stopped_at=f"{stop // 60:02}:{stop % 60:02}",
        deviation="partly_given" if off else "",
        reaction=f"fever {38.0 + round(1.2 * chance[2], 1):.1f} °C, gone by the evening"
        if chance[3] < 0.035
        else "",
    )


def _assign_lots(random: np.random.Generator, subjects: list[Subject], today: date) -> list[Lot]:
    """Give every infusion a lot: one per site and fortnight, fresh on the day."""
    lots: dict[str, Lot] = {}
    given = sorted(
        ((infusion.given_on, subject.subject_id, subject.site, infusion) for subject in subjects
         for infusion in subject.infusions),
        key=lambda row: row[:2],
    )  # fmt: skip
    for day, _subject, site, infusion in given:
        fortnight = day.toordinal() // 14
        code = f"UC{day:%y}-{fortnight % 1000:03}-{site}"
        if code not in lots:
            lots[code] = _lot(random, code, date.fromordinal(fortnight * 14 + 16))
        infusion.lot = code
    for offset, hospital in enumerate(SITES):
        code = f"UC{today:%y}-{(today.toordinal() // 14 + 1) % 1000:03}-{hospital.code}"
        lots.setdefault(code, _lot(random, code, today + timedelta(days=4 + 5 * offset)))
    return list(lots.values())


def _lot(random: np.random.Generator, code: str, expires_on: date) -> Lot:
    return Lot(
        code,
        f"CORD-{int(random.integers(1000, 9999))}",
        int(random.integers(3, 6)),
        f"{random.normal(92.5, 1.8):.1f}",
        expires_on,
    )


# --- visits ---------------------------------------------------------------------------------


def _see(subject: Subject, luck: Luck, today: date) -> None:
    first = subject.infusions[0].given_on
    ended = subject.ended_on
    died = next((day for kind, day in subject.outcomes if kind is OutcomeKind.DEATH), None)
    rows = course_of_values(subject.diagnosis, subject.group, luck, first=first, died_on=died)
    for slot, week in enumerate(protocol.WEEKS):
        due = protocol.visit_due(week, first)
        day = due + timedelta(days=round(float(luck.jitter[slot]) * _JITTER[week]))
        if week == protocol.BASELINE_WEEK:
            day = first - timedelta(days=min(2, int(abs(luck.jitter[slot]) * 1.2)))
        else:
            day = max(day, first + timedelta(days=2 if week == 1 else 7 * week - 14))
        luck_of_visit = luck.missing[slot, len(PANEL)]
        if day >= today or (ended is not None and day >= ended) or luck_of_visit < _MISSED[week]:
            continue
        if week and due > today - timedelta(days=24) and luck_of_visit < 0.5:
            continue  # not seen or not entered yet
        labs = printed_panel(luck, slot, rows[slot], other_units=_in_other_units(subject, luck, slot))
        subject.visits.append(SeenVisit(week, day, labs))
    _extra_draw(subject, luck, today, first, rows[-1])
    _complete(subject, today, first)


def _in_other_units(subject: Subject, luck: Luck, slot: int) -> bool:
    return subject.site == OTHER_UNIT_SITE and bool(luck.missing[slot, len(PANEL) + 1] < OTHER_UNIT_SHARE)


def _extra_draw(subject: Subject, luck: Luck, today: date, first: date, row: Array) -> None:
    if luck.uniform[15] > 0.06:
        return
    day = first + timedelta(days=10 + int(luck.uniform[16] * 14))
    taken = {visit.visited_on for visit in subject.visits}
    if day < today and day not in taken and (subject.ended_on is None or day < subject.ended_on):
        slot = len(SLOTS) - 1
        labs = printed_panel(luck, slot, row, other_units=_in_other_units(subject, luck, slot))
        subject.visits.append(SeenVisit(None, day, labs))


def _complete(subject: Subject, today: date, first: date) -> None:
    last = next((visit for visit in subject.visits if visit.week == protocol.WEEKS[-1]), None)
    end = last.visited_on if last else first + timedelta(days=7 * protocol.WEEKS[-1] + 30)
    if not subject.outcomes and end < today:
        if last:
            subject.outcomes.append((OutcomeKind.COMPLETED, end))
        elif not subject.visits or subject.visits[-1].visited_on < end - timedelta(days=60):
            subject.outcomes.append((OutcomeKind.LOST, end))


# --- subjects without an infusion -----------------------------------------------------------


def _untreated(random: np.random.Generator, patients: int, today: date) -> list[Subject]:
    subjects = []
    run_in = max(2, round(patients * IN_RUN_IN))
    screening = max(2, round(patients * IN_SCREENING))
    failed = round(patients * SCREEN_FAILURES)
    uniform = random.uniform(size=(run_in + screening + failed, 10))
    for place, chance in enumerate(uniform):
        diagnosis = Diagnosis.LIVER_FAILURE if chance[5] < 0.52 else Diagnosis.CIRRHOSIS
        if place < run_in:
            # the first was to have its first infusion some days ago
            recruited = today - timedelta(days=11 if place == 0 else 1 + int(chance[6] * 6))
            subject = _person(chance[:5], diagnosis, recruited - timedelta(days=2))
            subject.status, subject.recruited_on = "enrolled", recruited
            subject.planned_course = (Course.PROLONGED if chance[7] < 0.5 else Course.STANDARD).value
            _answer(subject)
        elif place < run_in + screening:
            subject = _person(chance[:5], diagnosis, today - timedelta(days=int(chance[6] * 6)))
            _answer(subject, unknown=2 + int(chance[7] * 5))
        else:
            screened = today - timedelta(days=3 + int(chance[6] * DAYS_OF_RECRUITMENT))
            against = _FAILURES[int(chance[8] * len(_FAILURES))]
            # years only grow in the direction that fails
            subject = _person(chance[:5], diagnosis, screened, oldest=60)
            if against == "inclusion_c":
                subject.birth_date = screened - timedelta(days=int((61.5 + 14 * chance[2]) * 365.25))
            subject.status = "screen_failed"
            _answer(subject, against=(against, *(["exclusion_d"] if chance[9] < 0.15 else [])))
        subjects.append(subject)
    return subjects


_FAILURES = (
    "inclusion_c", "inclusion_c", "inclusion_b", "inclusion_b", "inclusion_a", "exclusion_a", "exclusion_a",
    "exclusion_b", "exclusion_c", "exclusion_d", "exclusion_g", "exclusion_g", "exclusion_h", "exclusion_h",
    "exclusion_h",
)  # fmt: skip
_EVIDENCE = {
    "exclusion_a": "variceal bleeding, endoscopy",
    "exclusion_b": "primary biliary cholangitis, AMA positive",
    "exclusion_c": "anti-HCV positive",
    "exclusion_d": "ejection fraction 35 %",
    "exclusion_g": "more than 60 g alcohol a day",
    "exclusion_h": "focal lesion of 32 mm, MRI",
    "inclusion_a": "first positive HBsAg four months ago",
    "inclusion_b": "TBIL and INR below the criteria",
}


def _answer(subject: Subject, *, against: tuple[str, ...] = (), unknown: int = 0) -> None:
    """Answer the criteria: all pass, but for those named and the last few that are still open."""
    day = subject.screened_on
    for place, criterion in enumerate(protocol.CRITERIA):
        answer, evidence, on = criterion.passes, "", None
        if criterion.code in against:
            answer = Answer.NO if criterion.passes is Answer.YES else Answer.YES
            evidence, on = _EVIDENCE.get(criterion.code, ""), day - timedelta(days=3)
        elif place >= len(protocol.CRITERIA) - unknown:
            answer = Answer.UNKNOWN
        elif criterion.code == "inclusion_a":
            evidence, on = (
                "HBsAg positive in the records",
                day - timedelta(days=400 + subject.birth_date.day * 31),
            )
        elif criterion.code == "exclusion_h":
            evidence, on = "ultrasound without a focal lesion", day - timedelta(days=1)
        subject.answers.append(AnsweredCriterion(criterion.code, answer, evidence, on))


# --- codes, and one slip --------------------------------------------------------------------


def _number(subjects: list[Subject]) -> None:
    """Give codes in the order of screening, site by site."""
    subjects.sort(key=lambda s: (s.screened_on, s.site, s.birth_date))
    digits = max(3, len(str(len(subjects))))
    last = dict.fromkeys((site.code for site in SITES), 0)
    for subject in subjects:
        last[subject.site] += 1
        subject.subject_id = f"{subject.site}-{last[subject.site]:0{digits}}"


def _plant_slip(study: Study) -> Slip | None:
    """Type one bilirubin of the first site without its decimal point."""
    for subject in study.enrolled:
        if subject.site != SITES[0].code or subject.diagnosis is not Diagnosis.LIVER_FAILURE:
            continue
        for visit in subject.visits:
            cell = visit.labs.get("tbil")
            if visit.week == 12 and cell and cell.text and 15 <= float(cell.text) <= 80:
                right = cell.text
                cell.text = right.replace(".", "")
                return Slip(subject.subject_id, 12, "tbil", cell.text, right)
    return None
