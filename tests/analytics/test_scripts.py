"""The scripts of an export compute every p-value again, each with the program it is written for."""

from __future__ import annotations

import csv
import io
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command

from analytics.datasets import DATASETS
from analytics.exports import bundle, scripts
from patients.models import LabResult, Patient
from tests import factories, processes
from tests.analytics import pspp_output
from trial import audit, protocol

Rows = list[dict[str, str]]
SECONDS = 120
P_VALUES = ("p_value", "p_holm", "p_bh", "shapiro_p1", "shapiro_p2")
RSCRIPT = shutil.which("Rscript")


def rows_of(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def write_rows(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]))
        out.writeheader()
        out.writerows(rows)


def a_small_study(directory: Path) -> Path:
    """Export a small synthetic study: deaths, limits, ties, groups too small to approximate."""
    call_command("seed_demo", patients=30, seed=5, today=date(2026, 3, 2), **quiet())
    audit.settle()
    values_after_the_end()
    call_command("refresh", **quiet())
    call_command("export", *sorted(scripts.NEEDED), out=str(directory), **quiet())
    return directory


def values_after_the_end() -> None:
    """Let one subject die on the day of its visit of week 12, and another before a late draw of week 1."""
    followed = Patient.objects.filter(visits__week=12, visits__visited_on__isnull=False, outcomes=None)
    one, other = followed.order_by("subject_id").distinct()[:2]
    factories.an_outcome(one, "death", one.visits.get(week=12).visited_on)
    week = other.visits.get(week=1)
    dead_on = other.visits.get(week=12).visited_on
    factories.an_outcome(other, "transplant", dead_on)
    with factories.by_the_software():
        late = datetime(dead_on.year, dead_on.month, dead_on.day, 9, tzinfo=UTC)
        LabResult.objects.filter(visit=week, analyte="inr").update(sampled_at=late)


def quiet() -> dict[str, Any]:
    return {"stdout": io.StringIO(), "stderr": io.StringIO()}


def run(*command: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a program where nothing of ours is: an environment with a path and nothing else."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def python(directory: Path) -> subprocess.CompletedProcess[str]:
    # -I: neither the directory nor the environment of this process lends it a module
    return run(sys.executable, "-I", "reproduce.py", directory=directory)


def r_and_python(directory: Path) -> Iterator[subprocess.CompletedProcess[str]]:
    """Run one script, then the other; R where it is installed."""
    # -I: neither the directory nor the environment of this process lends it a module
    yield run(sys.executable, "-I", "reproduce.py", directory=directory)
    if RSCRIPT:
        yield run(RSCRIPT, "reproduce.R", directory=directory)


def only_one_contrast(cells: Rows) -> Rows:
    """Return some families of p-values as a whole, so that the scripts are quick."""
    return [
        row
        for row in cells
        if (row["group1"], row["group2"]) == ("A", "B") and row["population"] != "eligible"
    ]


def test_python_forgives_shapiro_of_thousands_what_scipy_rounds() -> None:
    script = runpy.run_path(str(scripts.FILES_AT / "reproduce.py"))
    compare, row = script["compare"], dict.fromkeys([*script["KEY"], *P_VALUES, "method", "n2"], "")
    row |= {"n1": "5000", "p_value": "0.5", "shapiro_p1": "0.5"}
    study = SimpleNamespace(cells=[row], pooled=[])
    for column, gap, differ in (("shapiro_p1", 2e-6, 0), ("shapiro_p1", 1e-5, 1), ("p_value", 2e-6, 1)):
        mine: dict[str, Any] = dict.fromkeys(row) | {"n1": 5000, "p_value": 0.5, "shapiro_p1": 0.5}
        assert compare(study, [mine | {column: 0.5 * (1 + gap)}], set()) == differ


@pytest.mark.slow
@pytest.mark.django_db
def test_the_scripts_agree_and_find_what_was_falsified(tmp_path: Path) -> None:
    study = a_small_study(tmp_path / "study")
    assert {path.name for path in study.iterdir()} >= {*scripts.FILES, "cells.csv"}
    cells = rows_of(study / "cells.csv")
    # one population as a whole and some families of the others: the scripts are quicker
    chosen = {id(row) for row in only_one_contrast(cells)}
    cells = [row for row in cells if row["population"] == "landmark" or id(row) in chosen]
    write_rows(study / "cells.csv", cells)
    methods = {row["method"] for row in cells} - {""}
    assert methods >= {
        "t_pooled", "t_welch", "mannwhitney_asymptotic", "t_paired", "signedrank_asymptotic",
        "signedrank_exact", "friedman", "kruskal", "fisher",
    }, methods  # fmt: skip
    labs, computed = rows_of(study / "labs_long.csv"), rows_of(study / "scores.csv")
    assert any(row["comparator"] for row in labs)
    # one value drawn too late takes its scores with it, whatever the day of the visit
    late = [row for row in labs if row["after_end"] == "t" and row["week"] == "1"]
    assert [row["analyte"] for row in late] == ["inr"]
    lost = {row["score"] for row in computed if row["after_end"] == "t" and row["week"] == "1"}
    assert lost == {score.code for score in protocol.SCORES}
    assert {row["week"] for row in labs if row["after_end"] == "t"} >= {"1", "12"}
    p_values = sum(bool(row[column]) for row in cells for column in P_VALUES)
    for done in r_and_python(study):
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"p-values: {p_values}; equal to 1e-06 relative: {p_values};" in done.stdout
        again = rows_of(study / "reproduced.csv")
        assert [row["method"] for row in again] == [row["method"] for row in cells]
        (study / "reproduced.csv").unlink()

    # a falsified p-value, a falsified number of subjects, a method that the rule does not choose
    cells = only_one_contrast(cells)
    tested = [row for row in cells if row["p_value"] and row["analyte"] not in ("age", "sex")]
    tested[0]["shapiro_p1"] = repr(float(tested[0]["shapiro_p1"]) * (1 + 1e-5))
    tested[40]["n1"] = str(int(tested[40]["n1"]) + 1)
    tested[80]["method"] = "t_paired" if tested[80]["method"] != "t_paired" else "friedman"
    write_rows(study / "cells.csv", cells)
    for done in r_and_python(study):
        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stdout.count("differs: ") == 3, done.stdout
        assert "rows that differ: 3" in done.stdout

    (study / "scores.csv").unlink()
    for done in r_and_python(study):
        assert (done.returncode, "scores.csv is not there" in done.stdout) == (2, True), done.stdout
    processes.program(
        "Rscript", package="r-base-core"
    )  # Python's script is right, R's was not run without it


@pytest.mark.exhaustive
@pytest.mark.django_db
def test_other_ways_to_export_and_ages_that_were_pooled(tmp_path: Path) -> None:
    study = a_small_study(tmp_path / "study")
    identified_and_of_one_population(tmp_path / "identified")
    pooled_age_is_said_and_nothing_else_suffers(study)


def identified_and_of_one_population(directory: Path) -> None:
    """Dates instead of study days, and only some of the subjects, give the same p-values."""
    bundle.write(directory, bundle.chosen(sorted(scripts.NEEDED)), identified=True, population="landmark")
    assert {row["population"] for row in rows_of(directory / "cells.csv")} == {"landmark"}
    assert "given_on" in rows_of(directory / "infusions.csv")[0]
    assert "given_on / 86400" in (directory / scripts.SYNTAX).read_text(encoding="utf-8")
    write_rows(directory / "cells.csv", only_one_contrast(rows_of(directory / "cells.csv")))
    for done in r_and_python(directory):
        assert done.returncode == 0, done.stdout + done.stderr


def pooled_age_is_said_and_nothing_else_suffers(study: Path) -> None:
    """Rows of age cannot be computed from pooled ages; those of sex in the same family can."""
    before = {name: (study / name).read_bytes() for name in ("subjects.csv", "cells.csv")}
    write_rows(study / "cells.csv", only_one_contrast(rows_of(study / "cells.csv")))
    subjects = rows_of(study / "subjects.csv")
    oldest = max((row for row in subjects if row["group"] == "A"), key=lambda row: float(row["age"]))
    oldest["age"] = "90"
    write_rows(study / "subjects.csv", subjects)
    for done in r_and_python(study):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "rows of age, because 1 subjects are over 89" in done.stdout
    for name, content in before.items():
        (study / name).write_bytes(content)


@pytest.mark.exhaustive
@pytest.mark.django_db
def test_pspp_prints_what_cells_hold(tmp_path: Path) -> None:
    pspp = processes.program("pspp", package="pspp")
    study = a_small_study(tmp_path / "study")
    pspp_prints_what_cells_hold(pspp, study, rows_of(study / "cells.csv"))


def pspp_prints_what_cells_hold(pspp: str, directory: Path, cells: Rows) -> None:
    (directory / "names.sps").write_text(pspp_output.NAMES)
    run(pspp, "-o", "printed.csv", "names.sps", "reproduce.sps", directory=directory)
    text = (directory / "printed.csv").read_text(encoding="utf-8")
    assert "error" not in text
    agreement = pspp_output.compare(pspp_output.printed_by(directory / "printed.csv"), cells)
    print(f"p-values of PSPP that agree: {sum(agreement.compared.values())}, {dict(agreement.compared)}")
    assert agreement.wrong == []
    # PSPP has no exact rank tests that keep ties
    assert not {method for method in agreement.absent if "exact" not in method}, agreement.absent
    assert agreement.compared["shapiro"] > 1000
    assert agreement.compared["mannwhitney_asymptotic"] > 100
    # Holm and Benjamini-Hochberg are computed by the syntax itself, which counts the rows that differ
    counted = next(line for line in text.splitlines() if line.startswith("differs,"))
    assert counted == f"differs,{sum(bool(row['p_value']) for row in cells)},.00,.00"


def test_the_syntax_reads_every_column_of_the_files_in_their_order() -> None:
    assert set(DATASETS) >= scripts.NEEDED
    for identified in (False, True):
        files = dict(scripts.companions(DATASETS, identified=identified))
        syntax = files[scripts.SYNTAX].decode()
        assert "@@" not in syntax
        for name in scripts.NEEDED:
            read = syntax.split(f"/FILE='{name}.csv'")[1].split("/VARIABLES=")[1].split(".\n")[0].split()
            assert read[::2] == [c.name for c in DATASETS[name].shown(identified=identified)]
        for code in protocol.MEASURED:
            assert f"NPAR TESTS /FRIEDMAN={code}_w0 TO {code}_w24." in syntax
        assert max(map(len, syntax.splitlines())) < 250
    assert dict(scripts.companions(scripts.NEEDED - {"scores"})) == {}
