"""What the codes in a dataset mean, for formats with value labels and for the codebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from analytics.adam import PARAMETERS as TIMES
from analytics.adlb import PARAMETER_CODES, PARAMETERS
from analytics.datasets import Column, Dataset, Kind
from patients.facts import FACTS
from patients.facts import Kind as Sort
from patients.imports.screening_facts import column_of
from trial import protocol, vocabulary


def _labels(labels: Mapping[Any, str]) -> dict[str, str]:
    return {str(code.value): str(label) for code, label in labels.items()}


def _terms(*lists: Iterable[Any]) -> dict[str, str]:
    return {term.code: str(term.label) for terms in lists for term in terms}


_TRUTH = {"t": "yes", "f": "no"}
_YES = {"Y": "yes"}
_POPULATION_FLAGS = ("TRTFL", "ELIGFL", "LANDFL")
_OTHER_FLAGS = ("DTHFL", "LTXFL", "ABLFL", "ANL01FL", "ANL02FL", "POSTFL", "PLASMAFL")
_SEX = _labels(protocol.SEX_LABELS)
_ANSWERS = _labels(protocol.ANSWER_LABELS)
_OUTCOMES = _labels(protocol.OUTCOME_LABELS)
_FACT_SOURCES = {code: label for code, label in _terms(vocabulary.FACT_SOURCES).items() if code}
_GROUPS = _terms(protocol.GROUPS)
_STRATA = {
    **_GROUPS,
    "LF": "liver failure",
    "LC": "liver cirrhosis",
    "ALL": "all subjects",
}
MISSING = _terms(protocol.MISSING_REASONS)
"""Why there is no value: code and words, in the order of the protocol."""

_BY_NAME: Mapping[str, Mapping[str, str]] = {
    "sex": _SEX,
    "diagnosis": _labels(protocol.DIAGNOSIS_LABELS),
    "planned_course": _labels(protocol.COURSE_LABELS),
    "status": {"screening": "in screening", "enrolled": "enrolled", "screen_failed": "screen failure"},
    "verdict": _labels(protocol.VERDICT_LABELS),
    "group": _GROUPS,
    "group1": _STRATA,
    "group2": _STRATA,
    "eligible": _TRUTH,
    "treated": _TRUTH,
    "landmark": _TRUTH,
    "after_end": _TRUTH,
    "outcome": _OUTCOMES,
    "analyte": {analyte.code: f"{analyte.label}, {analyte.unit}" for analyte in protocol.PANEL},
    "lab_analyte": {analyte.code: f"{analyte.label}, {analyte.unit}" for analyte in protocol.PANEL},
    "comparator": {"<": "below the value", ">": "above the value"},
    "missing": MISSING,
    "population": _labels(protocol.POPULATION_LABELS),
    "measure": _labels(protocol.MEASURE_LABELS),
    "not_done": _terms(vocabulary.NOT_DONE_REASONS),
    "vein": _terms(vocabulary.VEINS),
    "ascites": _terms(vocabulary.ASCITES),
    "encephalopathy": _terms(vocabulary.ENCEPHALOPATHY),
    "event": {"adverse_event": "adverse event", **_terms(vocabulary.TREATMENTS), **_OUTCOMES},
    "serious": _terms(vocabulary.SERIOUSNESS),
    "relation": _terms(vocabulary.RELATIONS),
    "action": _terms(vocabulary.EVENT_ACTIONS),
    "result": _terms(vocabulary.EVENT_OUTCOMES),
    "op": {"I": "entered", "U": "changed", "D": "deleted"},
    "unscheduled": {"yes": "outside the weeks of the protocol"},
    **{criterion.code: _ANSWERS for criterion in protocol.CRITERIA},
    **{column_of(fact): {"yes": "yes", "no": "no"} for fact in FACTS if fact.kind is Sort.SIGN},
    **{column_of(fact, "source"): _FACT_SOURCES for fact in FACTS},
    # the names of ADaM
    "SEX": _SEX,
    "DIAGCD": _labels(protocol.DIAGNOSIS_LABELS),
    "GRPCD": _GROUPS,
    "LBREASND": MISSING,
    **dict.fromkeys((*_POPULATION_FLAGS, *_OTHER_FLAGS), _YES),
}
_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "adlb": {PARAMETER_CODES[code]: label for code, label in PARAMETERS.items()},
    "adtte": TIMES,
}


def labels_of(dataset: Dataset, column: Column) -> Mapping[str, str]:
    """Return what each code of a column means, in English; nothing for free codes.

    Parameters
    ----------
    dataset, column
        A column of kind :attr:`Kind.CODE` of one of the datasets.
    """
    if column.kind is not Kind.CODE:
        return {}
    if column.name.endswith("_missing"):
        return MISSING
    if column.name.endswith("_comparator"):
        return _BY_NAME["comparator"]
    if dataset.name in {"cells", "tests"} and column.name == "analyte":
        return {}
    if column.name == "PARAMCD":
        return _PARAMETERS.get(dataset.name, {})
    return _BY_NAME.get(column.name, {})


def reason_of(columns: Iterable[Column]) -> dict[str, str]:
    """Return which column says why another has no value: value column to reason column."""
    columns = list(columns)
    codes = {column.name for column in columns if column.kind is Kind.CODE}
    pairs = {}
    for column in columns:
        if column.kind is not Kind.NUMBER:
            continue
        wanted = "missing" if column.name == "value" else f"{column.name}_missing"
        if wanted in codes:
            pairs[column.name] = wanted
    return pairs
