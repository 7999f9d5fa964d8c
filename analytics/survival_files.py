"""The curves of survival as files a journal accepts, and the dates behind them as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from analytics import follow_up, survival_figure
from analytics.follow_up import Course
from analytics.paper_drawing import settled
from trial import protocol
from trial.protocol import Population
from trial.templatetags.cordline import p_value

KINDS: Mapping[str, str] = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}
DOTS_PER_INCH = 300
WIDTH_MM, ROW_MM, LEFT_MM = 175, 62, 19
COLOURS: Mapping[str, str] = {
    "A": "#0072B2", "B": "#56B4E9", "C": "#D55E00", "D": "#E69F00", "LF": "#475459", "LC": "#A3ACAF",
}  # fmt: skip
INK, GREY = "#172023", "#475459"
COLUMNS = (
    "subject_id", "group", "eligible", "days", "end", "alive_days", "died", "fifth_day",
    "landmark_group", "landmark_days",
)  # fmt: skip


def figure(body: Mapping[str, Any], kind: str, titles: Mapping[str, str], *, caption: str) -> bytes:
    """Draw all panels of a contrast.

    Parameters
    ----------
    body
        As :func:`analytics.survival_reading.body` has it.
    kind
        A key of :data:`KINDS`.
    titles
        Words for ``treated``, ``landmark`` and each kind of panel.
    caption
        Stands under the figure.
    """
    from textwrap import fill

    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: Any = {
        "font.size": 7,
        "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
        "xtick.labelsize": 6.5, "ytick.labelsize": 6.5, "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    words = fill(caption, 150)
    foot_mm = 6 + 3.2 * (words.count("\n") + 1)
    kinds = [panel["kind"] for panel in body["sides"][0]["panels"]]
    height_mm = ROW_MM * len(kinds) + foot_mm
    with settled():
        mpl.rcParams.update(settings)
        made = Figure(figsize=(WIDTH_MM / 25.4, height_mm / 25.4))
        FigureCanvasAgg(made)
        highest = survival_figure.highest_of(
            [p for s in body["sides"] for p in s["panels"] if p["kind"] != "alive"]
        )
        for column, side in enumerate(body["sides"]):
            for row, panel in enumerate(side["panels"]):
                left = (LEFT_MM + column * (WIDTH_MM / 2)) / WIDTH_MM
                bottom = (height_mm - ROW_MM * (row + 1) + 21) / height_mm
                axes = made.add_axes(
                    (left, bottom, (WIDTH_MM / 2 - LEFT_MM - 4) / WIDTH_MM, (ROW_MM - 30) / height_mm)
                )
                letter = "abcdef"[row * 2 + column]
                title = f"{titles[panel['kind']]}, {titles[side['name']]}"
                _panel(
                    axes, panel, side["marks"], 1.0 if panel["kind"] == "alive" else highest, letter, title
                )
        made.text(2 / WIDTH_MM, 3 / height_mm, words, fontsize=6.2, color=INK, va="bottom")
        out = io.BytesIO()
        metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(
            kind, {"Software": None}
        )
        made.savefig(out, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
    return out.getvalue()


def _panel(
    axes: Any, panel: Mapping[str, Any], marks: Sequence[Any], highest: float, letter: str, title: str
) -> None:
    last = marks[-1]["day"] + survival_figure.END_ROOM if marks else 1.0
    axes.set_xlim(0, last)
    axes.set_ylim(0, highest * 1.001)
    axes.set_xticks([mark["day"] for mark in marks], [str(mark["week"]) for mark in marks])
    axes.set_yticks([highest * k / 4 for k in range(5)], [f"{round(highest * k * 25)} %" for k in range(5)])
    axes.text(-0.22, 1.16, letter, transform=axes.transAxes, fontsize=9, fontweight="bold", va="center")
    axes.text(0, 1.16, title, transform=axes.transAxes, fontsize=7, fontweight="bold", va="center")
    axes.text(
        0, 1.055, test_words(panel["test"]), transform=axes.transAxes, fontsize=6.2, color=GREY, va="center"
    )
    axes.text(
        -0.03,
        -0.31,
        _("at risk"),
        transform=axes.transAxes,
        fontsize=6.2,
        color=GREY,
        ha="right",
        va="center",
    )
    ends = []
    for place, curve in enumerate(panel["curves"]):
        code, y = curve["code"], -0.31 - 0.13 * (place + 1)
        axes.text(
            -0.09,
            y,
            f"{code}",
            transform=axes.transAxes,
            fontsize=6.5,
            fontweight="bold",
            ha="right",
            va="center",
        )
        for mark, number in zip(marks, curve["at_risk"], strict=True):
            axes.text(mark["day"], y, str(number), transform=axes.get_xaxis_transform(), fontsize=5, ha="center", va="center", clip_on=False)  # fmt: skip
        if not curve["n"]:
            continue
        until = min(curve["last"], last)
        kept = [k for k, day in enumerate(curve["days"]) if day <= until]
        xs = [0.0, *(curve["days"][k] for k in kept), until]
        values = [curve["start"], *(curve["value"][k] for k in kept)]
        lows = [
            curve["start"],
            *(curve["value"][k] if curve["low"][k] is None else curve["low"][k] for k in kept),
        ]
        highs = [
            curve["start"],
            *(curve["value"][k] if curve["high"][k] is None else curve["high"][k] for k in kept),
        ]
        colour = COLOURS[code]
        axes.fill_between(
            xs, [*lows, lows[-1]], [*highs, highs[-1]], step="post", color=colour, alpha=0.16, linewidth=0
        )
        axes.step(xs, [*values, values[-1]], where="post", color=colour, linewidth=1.3, linestyle=(0, (4, 1.6)) if place else "-")  # fmt: skip
        ends.append((until, values[-1], code))
    gap = highest * 0.09
    if len(ends) == 2 and abs(ends[0][1] - ends[1][1]) < gap:
        upper = 0 if ends[0][1] >= ends[1][1] else 1
        middle = (ends[0][1] + ends[1][1]) / 2
        ends = [
            (x, middle + (gap / 2 if k == upper else -gap / 2), code) for k, (x, _y, code) in enumerate(ends)
        ]
    for x, y_end, code in ends:
        axes.annotate(code, (x, y_end), xytext=(3, 0), textcoords="offset points", fontsize=6.5, fontweight="bold", va="center", annotation_clip=False)  # fmt: skip


def test_words(test: Mapping[str, Any]) -> str:
    """Return the test of a panel in one line."""
    names = {"gray": _("Gray's test"), "logrank": _("log-rank")}
    if test["p"] is None:
        return said(test["note"])
    return _("%(test)s p %(p)s, %(n)d events") % {
        "test": names[test["method"]],
        "p": p_value(test["p"]),
        "n": sum(test["events"]),
    }


def said(note: Mapping[str, Any] | None) -> str:
    """Return a stored sentence in the language of the request."""
    if note is None:
        return ""
    return _(note["text"]).format(**{name: _(value) for name, value in note["fields"].items()})


def table(courses: Iterable[Course], subjects: Collection[str]) -> str:
    """Return the dates behind every curve and hazard as CSV; days from the first infusion or the landmark.

    ``end``: 0 followed until then, 1 died, 2 transplanted. Empty: not known, or not at the landmark.
    """
    known = [course for course in courses if course.subject_id in subjects]
    whole = follow_up.follow(known, Population.TREATED)
    still = follow_up.follow(known, Population.LANDMARK)
    first = {s: k for k, s in enumerate(whole.subject_ids)}
    second = {s: k for k, s in enumerate(still.subject_ids)}
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(COLUMNS)

    def whole_day(value: float) -> str:
        return "" if value != value else str(int(value))

    for course in sorted(known, key=lambda c: c.subject_id):
        k, m = first.get(course.subject_id), second.get(course.subject_id)
        group = protocol.group_of(course.diagnosis, len(course.infusions_on))
        rows.writerow(
            [
                course.subject_id,
                group,
                int(course.eligible),
                *(
                    ("", "", "", "", "")
                    if k is None
                    else (
                        whole_day(whole.days[k]),
                        int(whole.ends[k]),
                        whole_day(whole.alive_days[k]),
                        int(whole.died[k]),
                        whole_day(whole.fifth[k]),
                    )
                ),
                *(("", "") if m is None else (still.group[m], whole_day(still.days[m]))),
            ]
        )
    return out.getvalue()
