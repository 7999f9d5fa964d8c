"""JSON whose numbers keep every digit: 17.10 is read as ``Decimal("17.10")``, not as a float."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


class ExactDecoder(json.JSONDecoder):
    """Reads numbers with a fraction as decimals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"parse_float": Decimal})
