"""The methods paragraph: what was really done for the numbers of the paper set, with counts and versions."""

from __future__ import annotations

import platform
from collections import Counter
from importlib.metadata import version
from itertools import chain

from django.utils import translation
from django.utils.translation import gettext as _

from analytics import paper_words
from analytics.cells import CellKey
from analytics.paper import MELD, PaperData
from analytics.paper_figures import Picture
from analytics.paper_tables import Table
from trial import marks, protocol
from trial.protocol import Population
from trial.templatetags.cordline import count

LIBRARIES = ("numpy", "scipy")
LANGUAGES = ("en", "zh-hans")


def paragraph(data: PaperData, tables: tuple[Table, ...], pictures: tuple[Picture, ...]) -> str:
    """Return the paragraph in the language that is active."""
    used = _compared(data, tables, pictures)
    done = Counter(data.cells[key].method for key in used if data.cells[key].p_value is not None)
    untested = sum(data.cells[key].p_value is None for key in used)
    sentences = [*_subjects(data), *_values(), *_testing(done, untested), *_source(data)]
    space = "" if (translation.get_language() or "").startswith("zh") else " "
    return space.join(sentences)


def in_languages(data: PaperData, tables: tuple[Table, ...], pictures: tuple[Picture, ...]) -> dict[str, str]:
    """Return the paragraph by language, for a manuscript in either."""
    found = {}
    for language in LANGUAGES:
        with translation.override(language):
            found[language] = paragraph(data, tables, pictures)
    return found


def _compared(data: PaperData, tables: tuple[Table, ...], pictures: tuple[Picture, ...]) -> list[CellKey]:
    """Return the cells whose p-value, or the words for its absence, stand in the set; each once."""
    printed = (
        entry.key
        for table in tables
        for row in table.rows
        for entry in row.entries
        if entry.key and entry.key.group2
    )
    drawn = (
        cluster.key
        for picture in pictures
        for panel in picture.panels
        for cluster in panel.clusters
        if cluster.key
    )
    return [key for key in dict.fromkeys(chain(printed, drawn)) if key in data.cells]


def _subjects(data: PaperData) -> list[str]:
    population = data.stamp.population
    words = {
        Population.ELIGIBLE: _(
            "Analysed were the subjects who met the criteria and had at least one infusion"
        ),
        Population.TREATED: _("Analysed were the subjects with at least one infusion"),
        Population.LANDMARK: _(
            "Analysed were the subjects alive, not transplanted and in follow-up on day %(day)s after the"
            " first infusion, the day the fifth infusion is due"
        )
        % {"day": protocol.LANDMARK_DAY},
    }[population]
    sizes = marks.listed(f"{code} {count(data.subjects(code))}" for code in protocol.GROUP_CODES)
    until = (
        _("infusions given until that day and not voided")
        if population is Population.LANDMARK
        else _("infusions given and not voided, that is after baseline")
    )
    return [
        _("%(words)s (n = %(n)s: %(sizes)s).")
        % {"words": words, "n": count(data.subjects("ALL")), "sizes": sizes},
        _(
            "Groups were defined by diagnosis and by the number of %(until)s: A and C more than 4, B and D 4 or fewer."
        )
        % {"until": until},
        _("Differences between groups are associations; no adjustment was made for confounding."),
    ]


def _values() -> list[str]:
    weeks = marks.listed(str(week) for week in protocol.WEEKS)
    score = protocol.SCORE_AT[MELD]
    return [
        _("Values are those of weeks %(weeks)s after the first infusion.") % {"weeks": weeks},
        _(
            "A decrease is the earlier value minus the later one, rounded to %(places)s decimals before ranking."
        )
        % {"places": protocol.DIFFERENCE_PLACES},
        _(
            "Each comparison uses every subject who has the values it needs; nothing was imputed or carried forward."
        ),
        _(
            "Values after death or liver transplantation were not used; a value at a detection limit entered as the limit."
        ),
        _("The MELD variant is %(label)s, unrounded; it is missing when any of its inputs is missing.")
        % {"label": score.label},
        _("Quartiles are weighted averages at p(n + 1) (type 6 of Hyndman and Fan, SPSS HAVERAGE)."),
    ]


def _testing(done: Counter[str], untested: int) -> list[str]:
    if not done:
        words = [_("No comparison could be tested.")]
    else:
        tests = marks.listed(
            f"{paper_words.test_name(method)} ({count(times)})" for method, times in done.most_common()
        )
        words = [
            _("Normality was judged by the Shapiro-Wilk test in each group (normal: P ≥ 0.05)."),
            _(
                "Two normal groups were compared by t test, pooled or Welch's by Levene's test (centred at the"
                " mean), others by the Mann-Whitney test; changes within subjects by the paired t test when"
                " the differences looked normal, otherwise by the signed-rank test."
            ),
            _(
                "Sex was compared by the chi-squared test, with Yates' correction or replaced by Fisher's exact"
                " test where numbers were small."
            ),
            _("Tests used, with the number of comparisons: %(tests)s.") % {"tests": tests},
        ]
    if untested:
        words.append(
            _("Not tested, for too few or equal values: %(count)s comparisons.") % {"count": count(untested)}
        )
    total = sum(done.values())
    if done:
        words += [
            _("All tests are two-sided at 0.05."),
            _(
                "P-values are shown unadjusted, beside them in the tables adjusted by Holm within one quantity over its weeks."
            ),
            _(
                "Of %(total)s tests about %(chance)s would fall below 0.05 by chance alone if no group or week differed."
            )
            % {"total": count(total), "chance": f"{total * 0.05:.0f}"},
        ]
    return words


def _source(data: PaperData) -> list[str]:
    stamp = data.stamp
    libraries = marks.listed(f"{name} {version(name)}" for name in LIBRARIES)
    words = [
        _("Computed with Cordline %(code)s, Python %(python)s, %(libraries)s")
        % {"code": stamp.code_version, "python": platform.python_version(), "libraries": libraries}
    ]
    if stamp.made_on:
        words[0] += _(", from revision %(revision)s of the data, on %(day)s.") % {
            "revision": count(stamp.revision),
            "day": stamp.made_on.isoformat(),
        }
    else:
        words[0] += _("; nothing has been computed yet.")
    if stamp.synthetic:
        words.append(_("The data are synthetic; no real patient is in them."))
    return words
