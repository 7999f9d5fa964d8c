"""Columns of what is recorded at the bedside of an infusion: vein, bag, reaction, observation, vital signs."""

from __future__ import annotations

from analytics.declarations import Column, Kind, Show
from analytics.shared_columns import at_site
from infusions.import_vitals import PLACES
from infusions.vitals import SIGNS
from trial import vocabulary

_MOMENTS = vocabulary.by_code(vocabulary.VITAL_MOMENTS)

BEDSIDE = (
    Column("reaction_grade", Kind.WHOLE, "CTCAE grade of the reaction", "i.reaction_grade"),
    Column("vein", Kind.CODE, "Vein", "nullif(i.vein, '')"),
    Column("bag", Kind.TEXT, "Bag of the lot", "nullif(i.bag, '')", Show.IDENTIFIED),
    Column("interruption", Kind.TEXT, "Interruption", "nullif(i.interruption, '')", Show.IDENTIFIED),
    Column(
        "observed_until", Kind.TIME, "Observed until, site time", at_site("i.observed_until"), Show.IDENTIFIED
    ),
    Column("checked_by", Kind.TEXT, "Identity checked by", "nullif(i.checked_by, '')", Show.IDENTIFIED),
    *(
        Column(
            column,
            Kind.NUMBER if SIGNS[sign].places else Kind.WHOLE,
            f"{SIGNS[sign].label}, {SIGNS[sign].unit}: {_MOMENTS[moment].label}",
            f"g.{column}",
        )
        for column, moment, sign in PLACES
    ),
)

SIGNS_OF_INFUSION = (
    "LEFT JOIN LATERAL (SELECT "
    + ", ".join(
        f"max(x.{sign}) FILTER (WHERE x.moment = '{moment}') AS {column}" for column, moment, sign in PLACES
    )
    + " FROM infusions_vitalsigns x WHERE x.infusion_id = i.id) g ON true"
)
"""Joins the vital signs of an infusion ``i``."""
