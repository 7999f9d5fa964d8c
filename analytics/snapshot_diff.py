"""What is different since a snapshot: values, subjects, and the comparisons that followed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db import connection

from analytics import reports, snapshots
from analytics.cell_history import crossed
from analytics.datasets import DATASETS
from analytics.exports import bundle
from analytics.models import Snapshot
from trial import audit
from trial.trail_words import reason_parts

MOST = 400
_KEY = ("population", "measure", "group1", "group2", "analyte", "week_from", "week_to")
_NUMBERS = ("n1", "n2", "p_value", "p_holm", "estimate", "mean1", "median1", "mean2", "median2")

_LABS = """
WITH written AS (
    SELECT e.id, e."row", e.op, e.old, e.new, e.patient_id, n.number, n.reason, n.actor_id
    FROM trial_auditentry e JOIN trial_revision n ON n.id = e.revision_id
    WHERE e."table" = 'patients_labresult' AND n.number > %(after)s AND n.number <= %(until)s
), net AS (
    SELECT "row", (array_agg(old ORDER BY id))[1] AS old, (array_agg(new ORDER BY id DESC))[1] AS new,
        (array_agg(number ORDER BY id DESC))[1] AS number, (array_agg(reason ORDER BY id DESC))[1] AS reason,
        (array_agg(actor_id ORDER BY id DESC))[1] AS actor_id, max(patient_id) AS patient_id
    FROM written GROUP BY "row"
)
SELECT p.subject_id, p.site_id, v.week, coalesce(net.new, net.old) ->> 'analyte',
    net.old ->> 'value', net.new ->> 'value', net.old ->> 'comparator', net.new ->> 'comparator',
    net.old ->> 'missing_reason', net.new ->> 'missing_reason', net.reason, net.number, u.username,
    count(*) OVER ()
FROM net JOIN patients_patient p ON p.id = net.patient_id JOIN trial_user u ON u.id = net.actor_id
LEFT JOIN patients_visit v ON v.id = (coalesce(net.new, net.old) ->> 'visit_id')::bigint
WHERE (net.old IS NULL) <> (net.new IS NULL)
    OR net.old -> 'value' IS DISTINCT FROM net.new -> 'value'
    OR net.old -> 'comparator' IS DISTINCT FROM net.new -> 'comparator'
    OR net.old -> 'missing_reason' IS DISTINCT FROM net.new -> 'missing_reason'
ORDER BY net.old IS NULL, net.number DESC, p.subject_id, v.week, net."row"
LIMIT %(most)s
"""


def since(frozen: Snapshot, other: Snapshot | None = None) -> reports.Made:
    """Return what differs now, or in another snapshot; worked out once per revision.

    The body holds ``labs``, ``subjects`` and ``cells`` as lists of mappings, their true
    numbers in ``counts``, and the two revisions.
    """
    key = f"{frozen.pk} {other.pk if other else 'now'}"
    return reports.report("snapshot_diff", key, lambda: compare(frozen, other))


def compare(frozen: Snapshot, other: Snapshot | None = None) -> dict[str, Any]:
    """Compare a snapshot with the data as they stand, or with another snapshot."""
    until = other.revision if other else audit.latest_revision()
    labs, lab_count = _labs(min(frozen.revision, until), max(frozen.revision, until))
    before = _tables(frozen)
    after = _tables(other) if other else {name: _now(name) for name in ("subjects", "cells")}
    subjects = list(_subjects(before["subjects"], after["subjects"]))
    cells = sorted(_cells(before["cells"], after["cells"]), key=_by_interest)
    return {
        "from": frozen.revision,
        "until": until,
        "is_backward": frozen.revision > until,
        "labs": labs,
        "subjects": subjects[:MOST],
        "cells": cells[:MOST],
        "counts": {
            "labs": lab_count,
            "subjects": len(subjects),
            "cells": len(cells),
            "crossed": sum(cell["crossed"] or cell["crossed_adjusted"] for cell in cells),
        },
    }


def _labs(after: int, until: int) -> tuple[list[dict[str, Any]], int]:
    """Return the net change of every result between two revisions, corrections before new values."""
    with connection.cursor() as cursor:
        cursor.execute(_LABS, {"after": after, "until": until, "most": MOST})
        rows = cursor.fetchall()
    found = []
    for subject, site, week, analyte, old, new, *marks, reason, number, who, _count in rows:
        sign_before, sign_after, missing_before, missing_after = marks
        why, note = reason_parts(reason)
        found.append(
            {
                "subject": subject,
                "site": site,
                "week": week,
                "analyte": analyte,
                "old": _shown(old, sign_before, missing_before),
                "new": _shown(new, sign_after, missing_after),
                "why": f"{why}: {note}" if note else why,
                "who": who,
                "revision": number,
            }
        )
    return found, rows[0][-1] if rows else 0


def _shown(value: str | None, comparator: str | None, missing: str | None) -> str:
    if value is None:
        return missing or ""
    plain = value.rstrip("0").rstrip(".") if "." in value else value
    return f"{comparator or ''}{plain}"


# --- the frozen tables and those of now -----------------------------------------------------


def _tables(snapshot: Snapshot) -> dict[str, list[dict[str, str]]]:
    with snapshots.opened(snapshot) as archive:
        return {name: _rows(archive.read(f"{name}.csv")) for name in ("subjects", "cells")}


def _now(name: str) -> list[dict[str, str]]:
    return _rows(b"".join(bundle.blocks(DATASETS[name])))


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def _subjects(
    before: Iterable[Mapping[str, str]], after: Iterable[Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    was = {row["subject_id"]: row for row in before}
    now = {row["subject_id"]: row for row in after}
    for subject in sorted({*was, *now}):
        old, new = was.get(subject), now.get(subject)
        if old is None or new is None:
            yield {"subject": subject, "state": "added" if old is None else "gone", "fields": []}
        elif old != new:
            fields = [
                [name, old.get(name, ""), new.get(name, "")] for name in new if old.get(name) != new.get(name)
            ]
            yield {"subject": subject, "state": "changed", "fields": fields}


def _cells(
    before: Iterable[Mapping[str, str]], after: Iterable[Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    was = {_key(row): row for row in before}
    for row in after:
        old = was.get(_key(row), {})
        if all(old.get(name, "") == row[name] for name in _NUMBERS):
            continue
        p_old, p_new = _number(old.get("p_value")), _number(row["p_value"])
        holm_old, holm_new = _number(old.get("p_holm")), _number(row["p_holm"])
        yield {
            **{name: row[name] for name in _KEY},
            "p_old": p_old,
            "p_new": p_new,
            "holm_old": holm_old,
            "holm_new": holm_new,
            "estimate_old": _number(old.get("estimate")),
            "estimate_new": _number(row["estimate"]),
            "n_old": [old.get("n1", ""), old.get("n2", "")],
            "n_new": [row["n1"], row["n2"]],
            "crossed": crossed(p_old, p_new),
            "crossed_adjusted": crossed(holm_old, holm_new),
        }


def _key(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in _KEY)


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _by_interest(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        not cell["crossed_adjusted"],
        not cell["crossed"],
        cell["population"] != "treated",
        not cell["group2"],
        *(cell[name] for name in _KEY),
    )
