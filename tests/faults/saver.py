"""A coordinator in a process of its own: saves values one after another and says which are confirmed.

``python -m tests.faults.saver COUNT SEED PAUSE`` prints ``try VISIT ANALYTE VALUE`` before and
``done VISIT ANALYTE VALUE`` after each save. It saves COUNT values, and then goes on until
its input is closed. No value comes twice.
"""

from __future__ import annotations

import sys
import threading
import time
from decimal import Decimal
from itertools import count
from random import Random

import django

ANALYTES = ("tbil", "alt", "ast", "pta", "inr", "creatinine")


def main(at_least: int, seed: int, pause: float) -> None:
    from patients import actions
    from patients.entries import LabEntry
    from patients.models import Visit
    from trial import audit

    random, by = Random(seed), audit.service_account()
    visits = list(Visit.objects.filter(voided_at=None, week__isnull=False).order_by("id"))
    enough = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
    for number in count():
        if number >= at_least and enough.is_set():
            return
        visit, analyte = random.choice(visits), random.choice(ANALYTES)
        unique = Decimal(seed * 10_000 + number) / 1_000_000
        value = (Decimal(2) if analyte == "inr" else Decimal(random.randint(60, 120))) + unique
        what = f"{visit.pk} {analyte} {value}"
        print(f"try {what}", flush=True)
        entry = LabEntry(analyte=analyte, value=value, typed_text=str(value))
        actions.record_labs(entries=[entry], visit=visit, by=by, reason="typing slip corrected")
        print(f"done {what}", flush=True)
        time.sleep(pause)


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
