"""Days against the subject's life, its course and its other visits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from patients.edit_checks.found import DAY_FIELD, Around, Breach, Doubt, Life
from trial import protocol
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


def day_breach(day: date, life: Life) -> Breach | None:
    """Return why something cannot have happened to a subject on ``day``, or None."""
    remedy = Sentence(_("Check the date against the record."))
    if day > life.today:
        return Breach(
            "future",
            Sentence(
                _("%(day)s is after today, %(today)s at the site."),
                {"day": day.isoformat(), "today": life.today.isoformat()},
            ),
            Sentence(_("Record it once it has happened.")),
        )
    if life.born_on is not None and day <= life.born_on:
        return Breach(
            "before_birth",
            Sentence(
                _("%(day)s is not after the date of birth, %(born)s."),
                {"day": day.isoformat(), "born": life.born_on.isoformat()},
            ),
            remedy,
        )
    if life.died_on is not None and day > life.died_on:
        return Breach(
            "after_death",
            Sentence(
                _("%(day)s is after the death on %(died)s."),
                {"day": day.isoformat(), "died": life.died_on.isoformat()},
            ),
            Sentence(_("Correct the date, or the outcome first.")),
        )
    return None


def day_doubts(around: Around) -> Iterator[Doubt]:
    """Yield every soft check that fires on the day of a draw, against both clocks and the other visits."""
    day = around.drawn_on
    if day is None:
        return
    if around.recruited_on is not None and day < around.recruited_on:
        yield _doubt(
            "before_recruitment",
            Sentence(
                _("%(day)s is before the recruitment on %(recruited)s."),
                {"day": day.isoformat(), "recruited": around.recruited_on.isoformat()},
            ),
        )
    if around.died_on is not None and day > around.died_on:
        yield _doubt(
            "after_death",
            Sentence(
                _("%(day)s is after the death on %(died)s: these values stay out of the analysis."),
                {"day": day.isoformat(), "died": around.died_on.isoformat()},
            ),
        )
    if around.transplanted_on is not None and day > around.transplanted_on:
        yield _doubt(
            "after_transplant",
            Sentence(
                _(
                    "%(day)s is after the transplant on %(transplanted)s: these values stay out of the analysis."
                ),
                {"day": day.isoformat(), "transplanted": around.transplanted_on.isoformat()},
            ),
        )
    if around.week is None:
        return
    yield from _against_the_schedule(day, around.week, around.first_infusion_on)
    yield from _against_other_visits(day, around)


def _against_the_schedule(day: date, week: int, first_infusion_on: date | None) -> Iterator[Doubt]:
    if first_infusion_on is None or week not in protocol.VISIT_AT:
        return
    if week == protocol.BASELINE_WEEK and day > first_infusion_on:
        yield _doubt(
            "after_first_infusion",
            Sentence(
                _("Week 0 is drawn before the first infusion, which was on %(first)s; this is %(day)s."),
                {"first": first_infusion_on.isoformat(), "day": day.isoformat()},
            ),
        )
        return
    planned, study_day = protocol.VISIT_AT[week], (day - first_infusion_on).days
    off = study_day - planned.day
    if -planned.window.before <= off <= planned.window.after:
        return
    values = {"day": day.isoformat(), "study_day": study_day, "week": week}
    for other in protocol.VISITS:
        first, last = other.analysis_days
        if other.week != week and first <= study_day <= last:
            yield _doubt(
                "nearer_another_week",
                Sentence(
                    _("%(day)s is day %(study_day)s, nearer week %(other)s than week %(week)s."),
                    {**values, "other": other.week},
                ),
            )
            return
    yield _doubt(
        "outside_window",
        Sentence(
            _(
                "%(day)s is day %(study_day)s, outside the window of week %(week)s: day %(first)s to %(last)s."
            ),
            {
                **values,
                "first": planned.day - planned.window.before,
                "last": planned.day + planned.window.after,
            },
        ),
    )


def _against_other_visits(day: date, around: Around) -> Iterator[Doubt]:
    week = around.week
    for other, seen_on in sorted(around.other_visits.items()):
        if week is None or other == week:
            continue
        if (other < week and day <= seen_on) or (other > week and day >= seen_on):
            pattern = (
                _("%(day)s is not after the visit of week %(other)s on %(seen)s.")
                if other < week
                else _("%(day)s is not before the visit of week %(other)s on %(seen)s.")
            )
            yield _doubt(
                "out_of_order",
                Sentence(pattern, {"day": day.isoformat(), "other": other, "seen": seen_on.isoformat()}),
            )
            return


def _doubt(rule: str, sentence: Sentence) -> Doubt:
    return Doubt(DAY_FIELD, rule, sentence, Sentence(_("Check the date against the record.")))
