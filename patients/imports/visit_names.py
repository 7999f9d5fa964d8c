"""What the import of visits stages, under which names; shared by its reader, its checks and its writes."""

from __future__ import annotations

from dataclasses import dataclass

ROWS = "import_row"
VALUES = "import_value"
LONG = frozenset({"analyte", "value", "unit", "comparator", "missing", "typed", "typed_unit"})
"""Fields of a file with one row per value."""


@dataclass(frozen=True, slots=True)
class VisitField:
    """One thing that a row says of the visit itself; ``column`` is where visits keep it."""

    code: str
    column: str
    type: str = "text"

    @property
    def here(self) -> str:
        return f"v.{self.column}" if self.type == "date" else f"nullif(v.{self.column}, '')"


VISIT_FIELDS: tuple[VisitField, ...] = (
    VisitField("visit_date", "visited_on", "date"),
    VisitField("not_done", "not_done"),
    VisitField("ascites", "ascites"),
    VisitField("encephalopathy", "encephalopathy"),
    VisitField("note", "note"),
)
FINDINGS = ("ascites", "encephalopathy")
