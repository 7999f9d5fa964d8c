"""When a lot may be given: the release tests, what each asks for, and which decision they allow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from trial import vocabulary
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


CRITERIA: Mapping[str, str] = MappingProxyType(
    {
        "bacteria": _("no growth in 7 days"),
        "fungi": _("no growth in 14 days"),
        "mycoplasma": _("not detected"),
        "endotoxin": _("at most 0.5 EU/mL"),
        "hbv": _("not detected, in the cord blood and in the lot"),
        "hcv": _("not detected, in the cord blood and in the lot"),
        "hiv": _("not detected, in the cord blood and in the lot"),
        "cmv": _("not detected, in the cord blood and in the lot"),
        "viability": _("at least 80 % before it is given"),
        "phenotype": _("CD73, CD90, CD105 above 95 %; CD34, CD45, HLA-DR below 2 %"),
    }
)
"""What a test has to show; the paper names the tests, the limits are our assumption after usual specifications."""

LEAST_VIABILITY = Decimal(80)
"""Percent of living cells below which a lot asks for a second look; our assumption after the criterion above."""

MAY_BE_PENDING: frozenset[str] = frozenset({"bacteria", "fungi", "mycoplasma"})
"""Cultures take longer than the cells live: a lot may be released before they are read."""

GIVABLE: frozenset[str] = frozenset({"released", "conditional"})
"""States in which a lot may be planned."""

STEPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "quarantine": ("released", "conditional", "rejected"),
        "conditional": ("released", "recalled", "quarantine"),
        "released": ("recalled", "quarantine"),
        "rejected": ("quarantine",),
        "recalled": ("quarantine",),
    }
)
"""Which decision may follow which."""


def with_result(results: Mapping[str, str], wanted: str) -> tuple[str, ...]:
    """Return the tests with a result, in their order; a test nobody entered is pending."""
    return tuple(
        term.code for term in vocabulary.RELEASE_TESTS if results.get(term.code, "pending") == wanted
    )


def obstacles(results: Mapping[str, str], *, state: str, to: str) -> tuple[Sentence, ...]:
    """Say why a lot may not go into a state.

    Parameters
    ----------
    results
        Result by test; an absent test counts as pending.
    state, to
        The state it is in, and the one somebody wants.

    Returns
    -------
    tuple of Sentence
        Empty when the decision is allowed.
    """
    labels = vocabulary.by_code(vocabulary.RELEASE_STATES)
    if to not in STEPS.get(state, ()):
        return (
            Sentence(
                _("A lot that is %(state)s cannot become %(to)s."),
                {
                    "state": Sentence(labels[state].label),
                    "to": Sentence(labels[to].label) if to in labels else to,
                },
            ),
        )
    if to not in GIVABLE:
        return ()
    found: list[Sentence] = []
    if failed := with_result(results, "fail"):
        found.append(Sentence(_("Failed: %(tests)s."), {"tests": _names(failed)}))
    pending = with_result(results, "pending")
    if to == "conditional":
        hard = tuple(test for test in pending if test not in MAY_BE_PENDING)
        if hard:
            found.append(
                Sentence(
                    _("Pending: %(tests)s. Only bacteria, fungi and mycoplasma may be pending."),
                    {"tests": _names(hard)},
                )
            )
        elif not pending and not failed:
            found.append(Sentence(_("No test is pending. Release the lot without a condition.")))
    elif pending:
        found.append(Sentence(_("Pending: %(tests)s."), {"tests": _names(pending)}))
    return tuple(found)


def _names(tests: tuple[str, ...]) -> Sentence:
    labels = vocabulary.by_code(vocabulary.RELEASE_TESTS)
    # sentences of their own, so that each name and what stands between is said in the reader's language
    first, *further = (Sentence(labels[test].label) for test in tests)
    for following in further:
        first = Sentence(_("%(first)s, %(next)s"), {"first": first, "next": following})
    return first


def is_alarm(results: Mapping[str, str], *, state: str, given: int) -> bool:
    """Return whether those who got a lot have to be told: it failed a test or was recalled after it was given."""
    return given > 0 and (state in ("recalled", "rejected") or bool(with_result(results, "fail")))
