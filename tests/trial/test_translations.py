"""Every marked sentence has its Chinese, with the same fields in it, and is compiled."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import polib
import pytest

CATALOGUE = Path(__file__).resolve().parents[2] / "trial" / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
FIELD = re.compile(r"%\(\w+\)[sd]|%%|%s|\{\w*\}")


@pytest.fixture(scope="module")
def catalogue() -> polib.POFile:
    return polib.pofile(str(CATALOGUE))


def test_nothing_is_left_in_english(catalogue: polib.POFile) -> None:
    missing = [entry.msgid for entry in catalogue if not entry.translated()]
    assert not missing, f"translate, then run make messages: {missing}"


def test_fields_survive_translation(catalogue: polib.POFile) -> None:
    wrong = []
    for entry in catalogue:
        told = entry.msgstr_plural[0] if entry.msgid_plural else entry.msgstr
        allowed = [set(FIELD.findall(text)) for text in (entry.msgid, entry.msgid_plural) if text]
        if set(FIELD.findall(told)) not in allowed:
            wrong.append((entry.msgid, told))
    assert not wrong


def test_what_is_compiled_is_what_is_written(catalogue: polib.POFile) -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as compiled:
        spoken = gettext.GNUTranslations(compiled)
    stale = [
        entry.msgid
        for entry in catalogue
        if not entry.msgid_plural and not entry.msgctxt and spoken.gettext(entry.msgid) != entry.msgstr
    ]
    assert not stale, "run make messages"


def test_the_login_speaks_chinese(db: None) -> None:
    from django.test import Client

    page = Client(headers={"accept-language": "zh-CN"}).get("/login/")
    assert "登录" in page.content.decode()
