"""What edit checks ask and take back about many places at once: for whoever writes many rows in one revision."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F
from django.utils import timezone

from patients.actions.queries import CORRECTED, SOURCE, UNDONE, Asked, last_said, settled
from patients.models import DataQuery, QueryMessage
from patients.query_life import LEADS_TO, State, Step
from trial import audit
from trial.models import User

_BATCH = 2000


@dataclass(slots=True, kw_only=True)
class Held:
    """One place with every check that fires on it now.

    ``confirmed`` are the fields about which a query may be opened: those that
    were written just now. About the others only what was asked before is closed.
    """

    patient_id: int
    visit_id: int | None = None
    asked: list[Asked] = field(default_factory=list)
    confirmed: set[str] = field(default_factory=set)


def sync_in_bulk(*, topic: str, held: Sequence[Held], by: User) -> None:
    """Let the queries of many places follow the checks that fire on them, in the caller's revision.

    The same as :func:`patients.actions.queries.sync_queries` for each place, in
    a constant number of queries.
    """
    if not held:
        return
    with audit.revision(by=by, source=SOURCE):
        place = {"visit__in": [each.visit_id for each in held]} if held[0].visit_id else {"visit": None}
        known = DataQuery.objects.filter(
            topic=topic, patient__in={each.patient_id for each in held}, number=None, row=None, **place
        ).exclude(check_code="")
        standing: dict[tuple[int, int | None], dict[tuple[str, str], DataQuery]] = defaultdict(dict)
        for query in known.exclude(state=State.CLOSED).select_for_update(of=("self",)).order_by("pk"):
            standing[query.patient_id, query.visit_id][query.field, query.check_code] = query
        said, closed = last_said(known), settled(known)
        gone, again, new = [], [], []
        for each in held:
            here = standing.get((each.patient_id, each.visit_id), {})
            fires = {(asked.field, asked.rule) for asked in each.asked}
            gone += [query for at, query in here.items() if at not in fires]
            for asked in each.asked:
                stands = here.get((asked.field, asked.rule))
                if asked.field not in each.confirmed:
                    continue
                if stands is not None and said.get(stands.pk, asked.entered) != asked.entered:
                    again.append((stands, asked))
                elif stands is None and not _is_settled(closed, each, asked):
                    new.append((each, asked))
        _move(gone, Step.CLOSED)
        _move([query for query, _asked in again], Step.REOPENED)
        opened = DataQuery.objects.bulk_create(
            [_opened(topic, each, asked, by) for each, asked in new], batch_size=_BATCH
        )
        kept = CORRECTED.kept()
        corrected = {"text": kept["text"], "values": json.dumps({"values": kept["values"]})}
        QueryMessage.objects.bulk_create(
            [
                *(_message(query, Step.CLOSED, by, corrected) for query in gone),
                *(_message(query, Step.REOPENED, by, asked.message()) for query, asked in again),
                *(
                    _message(query, Step.OPENED, by, asked.message())
                    for query, (_each, asked) in zip(opened, new, strict=True)
                ),
            ],
            batch_size=_BATCH,
        )


def close_undone(*, opened: Collection[int], by: User) -> None:
    """Close the queries that an import opened and that is taken back, in the caller's revision; what was said stays."""
    with audit.revision(by=by, source=SOURCE):
        standing = DataQuery.objects.filter(pk__in=opened).exclude(state=State.CLOSED)
        gone = list(standing.select_for_update(of=("self",)).order_by("pk"))
        if not gone:
            return
        _move(gone, Step.CLOSED)
        kept = UNDONE.kept()
        said = {"text": kept["text"], "values": json.dumps({"values": kept["values"]})}
        QueryMessage.objects.bulk_create(
            [_message(query, Step.CLOSED, by, said) for query in gone], batch_size=_BATCH
        )


def _is_settled(closed: Collection[tuple[int, int | None, str, str, str]], held: Held, asked: Asked) -> bool:
    """Whether a person closed this question for these values."""
    return (held.patient_id, held.visit_id, asked.field, asked.rule, asked.entered) in closed


def _move(queries: Sequence[DataQuery], step: Step) -> None:
    DataQuery.objects.filter(pk__in=[query.pk for query in queries]).update(
        state=str(LEADS_TO[step]), version=F("version") + 1
    )


def _opened(topic: str, held: Held, asked: Asked, by: User) -> DataQuery:
    return DataQuery(
        patient_id=held.patient_id,
        topic=topic,
        visit_id=held.visit_id,
        field=asked.field,
        check_code=asked.rule,
        opened_by=by,
        opened_at=timezone.now(),
    )


def _message(query: DataQuery, step: Step, by: User, said: dict[str, Any]) -> QueryMessage:
    return QueryMessage(
        patient_id=query.patient_id,
        query_id=query.pk,
        step=step.value,
        author=by,
        written_at=timezone.now(),
        **said,
    )
