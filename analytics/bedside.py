"""Columns of what is recorded at the bedside of an infusion: vein, bag, reaction, observation, vital signs."""

from __future__ import annotations

from analytics.declarations import Column, Kind, Show
from analytics.shared_columns import at_site
from infusions.import_vitals import PLACES
from infusions.vitals import SIGNS
from trial import vocabulary
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a label for translation; who shows it translates it."""
    return message


_MOMENTS = vocabulary.by_code(vocabulary.VITAL_MOMENTS)

BEDSIDE = (
    Column("reaction_grade", Kind.WHOLE, _("CTCAE grade of the reaction"), "i.reaction_grade"),
    Column("vein", Kind.CODE, _("Vein"), "nullif(i.vein, '')"),
    Column("bag", Kind.TEXT, _("Bag of the lot"), "nullif(i.bag, '')", Show.IDENTIFIED),
    Column("interruption", Kind.TEXT, _("Interruption"), "nullif(i.interruption, '')", Show.IDENTIFIED),
    Column(
        "observed_until",
        Kind.TIME,
        _("Observed until, site time"),
        at_site("i.observed_until"),
        Show.IDENTIFIED,
    ),
    Column("checked_by", Kind.TEXT, _("Identity checked by"), "nullif(i.checked_by, '')", Show.IDENTIFIED),
    *(
        Column(
            column,
            Kind.NUMBER if SIGNS[sign].places else Kind.WHOLE,
            Sentence(
                _("%(sign)s, %(unit)s: %(moment)s"),
                {
                    "sign": Sentence(SIGNS[sign].label),
                    "unit": SIGNS[sign].unit,
                    "moment": Sentence(_MOMENTS[moment].label),
                },
            ),
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
