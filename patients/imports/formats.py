"""What a file is by its first bytes, so that what is no table is refused by its name.

The ending of a name says nothing: an old program writes HTML and calls it .xls.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from patients.imports.problems import FileRefused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


ZIP_MARK = b"PK\x03\x04"
OLD_EXCEL_MARK = b"\xd0\xcf\x11\xe0"
SAVE_AGAIN = Sentence(_("Open it in Excel, save it as .xlsx or “CSV UTF-8”, and choose that file."))
_EXPORT_TABLE = Sentence(_("Export the table as .xlsx or “CSV UTF-8” from the program that made it."))
_UNPACK = Sentence(_("Unpack it, and choose the table that is in it."))
_HEAD = 8192

_STATISTICS = _("This is a data file of a statistics program (%(name)s).")
_ARCHIVE = _("This is a packed file (%(name)s), not a table.")
_PICTURE = _("This is a picture (%(name)s), not a table.")
_MARKS: tuple[tuple[bytes, str, str, str, Sentence], ...] = (
    (b"%PDF", "pdf", _("This is a PDF, not a table."), "PDF", _EXPORT_TABLE),
    (b"$FL2", "statistics_file", _STATISTICS, "SPSS", _EXPORT_TABLE),
    (b"$FL3", "statistics_file", _STATISTICS, "SPSS", _EXPORT_TABLE),
    (b"<stata_dta>", "statistics_file", _STATISTICS, "Stata", _EXPORT_TABLE),
    (b"HEADER RECORD*******", "statistics_file", _STATISTICS, "SAS XPT", _EXPORT_TABLE),
    (b"RDX", "statistics_file", _STATISTICS, "R", _EXPORT_TABLE),
    (b"PAR1", "statistics_file", _STATISTICS, "Parquet", _EXPORT_TABLE),
    (b"SQLite format 3", "database", _("This is a database, not a table."), "SQLite", _EXPORT_TABLE),
    (b"{\\rtf", "document", _("This is a text document, not a table."), "RTF", _EXPORT_TABLE),
    (b"\x1f\x8b", "archive", _ARCHIVE, "gzip", _UNPACK),
    (b"BZh", "archive", _ARCHIVE, "bzip2", _UNPACK),
    (b"\xfd7zXZ", "archive", _ARCHIVE, "xz", _UNPACK),
    (b"7z\xbc\xaf", "archive", _ARCHIVE, "7z", _UNPACK),
    (b"Rar!", "archive", _ARCHIVE, "RAR", _UNPACK),
    (b"\x89PNG", "picture", _PICTURE, "PNG", _EXPORT_TABLE),
    (b"\xff\xd8\xff", "picture", _PICTURE, "JPEG", _EXPORT_TABLE),
    (b"GIF8", "picture", _PICTURE, "GIF", _EXPORT_TABLE),
)
_XML_SPREADSHEET = ("urn:schemas-microsoft-com:office:spreadsheet", "mso-application")
_OPEN_DOCUMENT = b"mimetypeapplication/vnd.oasis.opendocument"


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(_HEAD)


def is_zip(head: bytes) -> bool:
    """Return whether a file is a zip archive, as workbooks are."""
    return head.startswith((ZIP_MARK, b"PK\x05\x06"))


def refuse_foreign(path: Path, head: bytes) -> None:
    """Refuse what is neither a text table nor a workbook, by its name.

    Raises
    ------
    FileRefused
        If the first bytes are those of something else.
    """
    if head.startswith(OLD_EXCEL_MARK):
        _refuse_old_office(path)
    for mark, rule, text, name, remedy in _MARKS:
        if head.startswith(mark):
            raise FileRefused(rule, Sentence(text, {"name": name}), remedy)
    _refuse_markup(_as_text(head).lstrip("\ufeff \t\r\n").casefold())


def refuse_other_archive(names: list[str], head: bytes) -> None:
    """Refuse a zip archive that is no Excel workbook, by what its parts are called."""
    if "xl/workbook.xml" in names:
        return
    if any(name.startswith("xl/") and name.endswith(".bin") for name in names):
        raise FileRefused(
            "not_a_workbook", Sentence(_("This is a binary workbook of Excel (.xlsb).")), SAVE_AGAIN
        )
    if _OPEN_DOCUMENT in head:
        raise FileRefused(
            "not_a_workbook",
            Sentence(_("This is a file of LibreOffice or OpenOffice (.ods).")),
            _EXPORT_TABLE,
        )
    if any(name.endswith(".iwa") or name == "Index.zip" for name in names):
        raise FileRefused("not_a_workbook", Sentence(_("This is a file of Apple Numbers.")), _EXPORT_TABLE)
    if any(name.startswith(("word/", "ppt/")) for name in names):
        raise FileRefused(
            "not_a_workbook",
            Sentence(_("This is a document or a presentation, not a workbook.")),
            _EXPORT_TABLE,
        )
    raise FileRefused("not_a_workbook", Sentence(_("This archive is not an Excel workbook.")), _UNPACK)


def _refuse_old_office(path: Path) -> None:
    with path.open("rb") as file:
        if "EncryptedPackage".encode("utf-16-le") in file.read(16 * 2**20):
            raise FileRefused(
                "password",
                Sentence(_("This workbook has a password.")),
                Sentence(
                    _("Open it in Excel, take the password off (File, Info), save it, and choose that file.")
                ),
            )
    raise FileRefused("old_excel", Sentence(_("This is a workbook of old Excel (.xls).")), SAVE_AGAIN)


def _as_text(head: bytes) -> str:
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return head.decode("utf-16" if wide else "utf-8", errors="replace")


def _refuse_markup(text: str) -> None:
    if text.startswith(("mime-version:", "from: <saved by")) and "multipart/related" in text:
        raise FileRefused(
            "html", Sentence(_("This is a web page, not a workbook, whatever it is called.")), SAVE_AGAIN
        )
    if text.startswith("<"):
        if any(mark in text for mark in _XML_SPREADSHEET):
            raise FileRefused(
                "xml_spreadsheet",
                Sentence(_("This is an XML spreadsheet of Excel 2003, not a workbook.")),
                SAVE_AGAIN,
            )
        if any(mark in text for mark in ("<html", "<table", "<!doctype html", "<body", "<head", "<meta")):
            raise FileRefused(
                "html", Sentence(_("This is a web page, not a workbook, whatever it is called.")), SAVE_AGAIN
            )
        if text.startswith(("<?xml", "<!")):
            raise FileRefused("xml", Sentence(_("This is XML, not a table.")), _EXPORT_TABLE)
    if text.startswith(("{", "[{")) and '"' in text[:80]:
        raise FileRefused("json", Sentence(_("This is JSON, not a table.")), _EXPORT_TABLE)
