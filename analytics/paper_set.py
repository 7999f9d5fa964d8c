"""The whole paper set: read once, then as a page, as single files, or as all files for a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from django.utils import translation
from django.utils.translation import gettext as _

from analytics import (
    paper,
    paper_documents,
    paper_drawing,
    paper_figures,
    paper_methods,
    paper_tables,
    selectors,
)
from analytics.paper import PaperData
from analytics.paper_figures import Picture
from analytics.paper_tables import Table
from trial import marks
from trial.protocol import Population

Progress = Callable[[int, int, str], None]
DOCUMENTS = ("html", "docx")
TABLES = tuple(f"table{number}" for number in range(1, 5))
FIGURES = tuple(f"figure{number}" for number in range(1, 6))
WHOLE = "paper"
"""The name of the document that holds all tables and figures."""


@dataclass(frozen=True)
class PaperSet:
    """Tables, figures and methods of one run, in one language."""

    data: PaperData
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    methods: dict[str, str]
    note: str = ""
    """What a reader has to know of the pictures: that a typeface was missing."""

    @property
    def has_results(self) -> bool:
        """Whether anything has been computed yet."""
        return self.data.run > 0


def read(population: Population) -> PaperSet:
    """Read the set in the language that is active; call it inside one snapshot of the database."""
    return put_together(paper.read(population))


def put_together(data: PaperData) -> PaperSet:
    """Lay out the set from its numbers.

    Pictures fall back to English where this machine has no typeface for Chinese, and a note says so.
    """
    tables = paper_tables.tables(data)
    pictures = paper_figures.pictures(data)
    methods = paper_methods.in_languages(data, tables, pictures)
    note = ""
    if (translation.get_language() or "").startswith("zh") and not paper_drawing.chinese_font():
        note = _("The pictures are in English: this machine has no Chinese typeface.")
        with translation.override("en"):
            pictures = paper_figures.pictures(data)
    return PaperSet(data, tables, pictures, methods, note)


# --- single files ---------------------------------------------------------------------------


def drawn(found: PaperSet, picture: Picture, width: str, form: str) -> bytes:
    """Return one picture as a file; it is drawn once per process and run."""
    with translation.override("en" if found.note else translation.get_language()):
        return _drawn(picture, width, form, translation.get_language() or "en")


@lru_cache(maxsize=64)
def _drawn(picture: Picture, width: str, form: str, _language: str) -> bytes:
    # a picture is all that is drawn: an equal one is the same file
    return paper_drawing.render(picture, width, form)


def document(found: PaperSet, name: str, form: str) -> bytes:
    """Return a table, or with the name ``paper`` the whole set, as ``html`` or ``docx``."""
    write = paper_documents.html if form == "html" else paper_documents.docx
    if name != WHOLE:
        table = found.tables[TABLES.index(name)]
        return write(f"{table.name}. {table.title}", [table])
    pictures = [(picture, drawn(found, picture, "double", "png")) for picture in found.pictures]
    return write(_("Tables and figures"), found.tables, pictures, [methods_here(found)])


def methods_here(found: PaperSet) -> str:
    """Return the methods paragraph in the language of the reader."""
    return found.methods.get(translation.get_language() or "en", found.methods["en"])


# --- all files ------------------------------------------------------------------------------


def paper_files(
    population: Population = Population.TREATED,
    *,
    language: str = "en",
    progress: Progress = lambda done, total, text: None,
) -> Iterator[tuple[str, bytes]]:
    """Yield every file of the set by name; the same revision, code and language give the same bytes.

    Parameters
    ----------
    population
        Whom the set is about.
    language
        Of tables, captions and labels. A snapshot takes English, which every machine can draw.
    progress
        Told the number of finished files, of all files, and what comes next.
    """
    with translation.override(language):
        with selectors.one_moment():
            found = read(population)
        yield from files_of(found, progress=progress)


def files_of(
    found: PaperSet, *, progress: Progress = lambda done, total, text: None
) -> Iterator[tuple[str, bytes]]:
    """Yield every file of a set that has been read, in the language that is active."""
    pictures = [(picture, width) for picture in found.pictures for width in paper_drawing.WIDTHS]
    documents = [(name, form) for name in (*TABLES, WHOLE) for form in DOCUMENTS]
    total, done = len(pictures) + len(documents), 0
    for picture, width in pictures:
        progress(done, total, f"{picture.stem}-{width}")
        with translation.override("en" if found.note else translation.get_language()):
            forms = paper_drawing.render_all(picture, width)
        for form, content in forms.items():
            yield f"{picture.stem}-{width}.{form}", content
        done += 1
    for stem, form in documents:
        progress(done, total, f"{stem}.{form}")
        yield f"{stem}.{form}", document(found, stem, form)
        done += 1
    for language, words in found.methods.items():
        yield f"methods-{language}.txt", f"{words}\n".encode()
    captions = (
        f"{p.name}. {p.title}{marks.stop()} {' '.join((*p.caption, p.provenance))}" for p in found.pictures
    )
    yield "captions.txt", ("\n\n".join(captions) + "\n").encode()
    progress(total, total, "captions.txt")
