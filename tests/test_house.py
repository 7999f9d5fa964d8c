"""The house rules that no single module can keep: each test names the places that break one.

Every rule has a planted fault below, so that a rule that has gone blind turns red itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from trial import protocol

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("trial", "patients", "infusions", "analytics")


def sources() -> Iterator[Path]:
    for floor in FLOORS:
        yield from (p for p in sorted((ROOT / floor).rglob("*.py")) if "migrations" not in p.parts)


def templates() -> Iterator[Path]:
    yield from sorted((ROOT / "templates").rglob("*.html"))


# --- rules about Python ---------------------------------------------------------------------

Finder = Callable[[ast.AST, str], Iterator[int]]


@lru_cache(maxsize=1)
def nodes(tree: ast.AST) -> list[ast.AST]:
    """Return all nodes of a source, which every rule looks at."""
    return list(ast.walk(tree))


def float_fields(tree: ast.AST, path: str) -> Iterator[int]:
    """Clinical values are exact decimals; a database float is never one."""
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and node.attr == "FloatField":
            yield node.lineno


def unsafe_markup(tree: ast.AST, path: str) -> Iterator[int]:
    """Text becomes markup through templates and format_html, which escape."""
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if called in {"mark_safe", "SafeString", "SafeText"}:
                yield node.lineno


def wall_clock(tree: ast.AST, path: str) -> Iterator[int]:
    """Times are UTC from Django's clock; a naive or machine-local now is neither."""
    for node in nodes(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in {"utcnow", "now", "today"}
            and isinstance(node.value, ast.Name)
            and node.value.id in {"datetime", "date"}
        ):
            yield node.lineno


def every_field(tree: ast.AST, path: str) -> Iterator[int]:
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and node.value == "__all__":
            yield node.lineno


def bare_except(tree: ast.AST, path: str) -> Iterator[int]:
    for node in nodes(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno


def sql_made_of_text(tree: ast.AST, path: str) -> Iterator[int]:
    """SQL with anything but reviewed constants in it; values travel as parameters."""
    for node in nodes(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in {"raw", "extra"} and isinstance(node.func.value, ast.Attribute):
            yield node.lineno
        if isinstance(node.func.value, ast.Name) and node.func.attr == "RawSQL":
            yield node.lineno


def broker_from_the_web(tree: ast.AST, path: str) -> Iterator[int]:
    """Only the pump talks to the broker: a save must not stall on it."""
    if path.endswith("analytics/pump.py"):
        return
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"delay", "apply_async", "send_task"}:
            yield node.lineno


def unscoped_reads(tree: ast.AST, path: str) -> Iterator[int]:
    """A view reads through selectors, which know who is asking."""
    if not re.search(r"/views(/|\.py$)", path):
        return
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and node.attr == "objects":
            yield node.lineno


def writes_in_views(tree: ast.AST, path: str) -> Iterator[int]:
    if not re.search(r"/views(/|\.py$)", path):
        return
    for node in nodes(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"save", "create", "bulk_create", "update_or_create", "get_or_create"}
        ):
            yield node.lineno


READERS_OF_THE_ENVIRONMENT = (
    "trial/settings.py",
    "trial/embedded.py",
    "trial/wsgi.py",
    "trial/celery.py",
    "trial/supervisor.py",
)


def environment(tree: ast.AST, path: str) -> Iterator[int]:
    """One file reads the environment."""
    if "/management/" in path or path.endswith(READERS_OF_THE_ENVIRONMENT):
        return
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
            yield node.lineno


def heavy_imports(tree: ast.AST, path: str) -> Iterator[int]:
    """pandas, scipy and matplotlib cost a second to import, and what a view imports, a start imports."""
    if "/script_files/" in path:
        return
    for node in tree.body if isinstance(tree, ast.Module) else []:
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if any(name.split(".")[0] in {"pandas", "scipy", "matplotlib"} for name in names):
            yield node.lineno


RULES: list[Finder] = [
    float_fields,
    unsafe_markup,
    wall_clock,
    every_field,
    bare_except,
    sql_made_of_text,
    broker_from_the_web,
    unscoped_reads,
    writes_in_views,
    environment,
    heavy_imports,
]

PLANTED: dict[str, tuple[str, str]] = {
    "float_fields": ("patients/models/x.py", "x = models.FloatField()"),
    "unsafe_markup": ("patients/x.py", "mark_safe('<b>')"),
    "wall_clock": ("patients/x.py", "datetime.now()"),
    "every_field": ("patients/forms.py", "fields = '__all__'"),
    "bare_except": ("patients/x.py", "try:\n    f()\nexcept:\n    g()"),
    "sql_made_of_text": ("patients/x.py", "Patient.objects.raw(text)"),
    "broker_from_the_web": ("patients/views/x.py", "refresh.delay()"),
    "unscoped_reads": ("patients/views/x.py", "Patient.objects.all()"),
    "writes_in_views": ("patients/views/x.py", "patient.save()"),
    "environment": ("patients/x.py", "os.environ['X']"),
    "heavy_imports": ("analytics/x.py", "import pandas as pd"),
}


def faults() -> Iterator[str]:
    """Yield what breaks a rule; each source is read once for all of them."""
    for path in sources():
        name, tree = f"/{path.relative_to(ROOT)}", ast.parse(path.read_text())
        yield from (f"{rule.__name__}: {name}:{line}" for rule in RULES for line in rule(tree, name))


def test_code_keeps_the_rules() -> None:
    assert len(list(sources())) > 100
    assert not list(faults())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_sees_a_planted_fault(rule: Finder) -> None:
    path, code = PLANTED[rule.__name__]
    assert list(rule(ast.parse(code), "/" + path))


# --- rules about templates ------------------------------------------------------------------

INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle\s*=|\son[a-z]+\s*=\s*[\"']|javascript:", re.IGNORECASE
)
UNSAFE = re.compile(r"\|\s*safe\b|autoescape\s+off")
TRANSLATED = re.compile(r"\{%\s*blocktrans(?:late)?\b.*?\{%\s*endblocktrans(?:late)?\s*%\}", re.DOTALL)
CODE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|\{%\s*comment\s*%\}.*?\{%\s*endcomment\s*%\}", re.DOTALL)
TAG = re.compile(r"<(script|svg:style)\b.*?</\1>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
# what is the same in every language says so itself, to browsers too
SAME_EVERYWHERE = re.compile(r"<(pre|code|a|strong)\b[^>]*\stranslate=\"no\"[^>]*>.*?</\1>", re.DOTALL)
WORD = re.compile(r"[A-Za-z]{2,}")
SPOKEN_ATTRIBUTE = re.compile(r"\b(?:aria-label|title|placeholder|alt|data-confirm)\s*=\s*\"([^\"]*)\"")
NAMES = {
    "Cordline",
    "EN",
    "UTC",
    "CSV",
    "XLSX",
    "MELD",
    "Esc",
    "Tab",
    "Enter",
    "Ctrl",
    "Alt",
    "SHA",
    "OpenAPI",
    "FHIR",
    "PNG",
    "SVG",
    "PDF",
    "LF",
    "LC",
    "Holm",
    "BH",
    "kg",
    "mL",
    "SD",
    "CI",
}


def untranslated(text: str) -> list[str]:
    """Return the words a person would read that no translation tag surrounds."""
    # an attribute may hold "<" inside a template tag, so code goes before tags
    bare = CODE.sub(" ", TRANSLATED.sub(" ", text))
    spoken = [match.group(1) for match in SPOKEN_ATTRIBUTE.finditer(bare)]
    visible = TAG.sub(" ", SAME_EVERYWHERE.sub(" ", bare))
    words = WORD.findall(re.sub(r"&[a-z]+;", " ", visible)) + [
        w for text in spoken for w in WORD.findall(text)
    ]
    return [word for word in words if word not in NAMES]


@pytest.mark.parametrize("template", list(templates()), ids=lambda p: str(p.relative_to(ROOT / "templates")))
def test_template_keeps_the_rules(template: Path) -> None:
    text = template.read_text()
    assert not INLINE.search(text), f"inline script or style: {INLINE.search(text)}"
    assert not UNSAFE.search(text), f"unescaped: {UNSAFE.search(text)}"
    assert not untranslated(text), f"not marked for translation: {untranslated(text)}"


ALONE = re.compile(r"\{%\s*include\s+\"([^\"]+)\"[^%]*\bonly\s*%\}")


def forms_without_token(text: str, with_forms: set[str]) -> list[str]:
    """Return the forms that a template includes alone and hands no token: their button answers 403."""
    return [m[1] for m in ALONE.finditer(text) if m[1] in with_forms and "csrf_token=csrf_token" not in m[0]]


def test_a_form_included_alone_gets_its_token() -> None:
    """A test client sends no token and sees nothing wrong; a browser is turned away."""
    texts = {str(p.relative_to(ROOT / "templates")): p.read_text() for p in templates()}
    with_forms = {name for name, text in texts.items() if re.search(r"\{%\s*csrf_token\b", text)}
    without = {
        name: found for name, text in texts.items() if (found := forms_without_token(text, with_forms))
    }
    assert not without
    assert forms_without_token('{% include "f.html" with job=job only %}', {"f.html"}) == ["f.html"]


def test_template_rules_see_planted_faults() -> None:
    assert INLINE.search('<p style="color:red">')
    assert INLINE.search("<script>alert(1)</script>")
    assert INLINE.search('<a onclick="x()">')
    assert not INLINE.search('<script src="/static/x.js"></script>')
    assert UNSAFE.search("{{ name|safe }}")
    assert untranslated("<p>Hello there</p>") == ["Hello", "there"]
    assert untranslated('<a title="open">{% translate "x" %}</a>') == ["open"]
    assert not untranslated('<p>{% translate "Hello" %} {{ name }}</p>')


def test_fragments_say_what_they_are_given() -> None:
    """A fragment sees only what it is handed, so it can be moved without surprise."""
    careless = [
        f"{template.relative_to(ROOT)}: {match.group(0)}"
        for template in templates()
        for match in re.finditer(r"\{%\s*include\s+\"[^\"]*/_[^%]*%\}", template.read_text())
        if "only" not in match.group(0)
    ]
    assert not careless


# --- rules about the tree -------------------------------------------------------------------


def test_the_top_level_is_the_agreed_one() -> None:
    agreed = {
        ".ci",
        ".dockerignore",
        ".editorconfig",
        ".env.example",
        ".git",
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Dockerfile",
        "LICENSE",
        "Makefile",
        "README.md",
        "analytics",
        "docker-compose.yml",
        "docs",
        "infusions",
        "manage.py",
        "patients",
        "pyproject.toml",
        "requirements-dev.txt",
        "requirements.txt",
        "templates",
        "tests",
        "trial",
    }
    left_by_tools = {
        ".coverage", ".data", ".hypothesis", ".import_linter_cache", ".mypy_cache", ".pytest_cache", ".ruff_cache",
        ".venv", "__pycache__", "staticfiles", "test-results",
    }  # fmt: skip
    assert {path.name for path in ROOT.iterdir()} - left_by_tools <= agreed


def test_locks_hold_no_address_and_the_one_of_developers_holds_the_other() -> None:
    pins = {}
    for lock in ROOT.glob("requirements*.txt"):
        text = lock.read_text()
        assert "://" not in text, lock
        pins[lock.name] = set(re.findall(r"^[a-z0-9].*?==\S+", text, re.MULTILINE))
    assert pins["requirements.txt"]
    assert pins["requirements.txt"] < pins["requirements-dev.txt"]


# --- the protocol reaches everything --------------------------------------------------------


def test_every_analyte_stands_in_the_form_the_files_and_the_trend() -> None:
    from analytics import datasets
    from patients import forms

    wide = {column.name for column in datasets.DATASETS["labs_wide"].columns}
    form = forms.LabPanelForm.analyte_codes()
    for analyte in protocol.PANEL:
        assert analyte.code in wide
        assert analyte.code in form
    assert set(protocol.TREND) <= set(protocol.ANALYTES)
