"""What cannot be read, and what an input method makes of the keys for digits and signs."""

from __future__ import annotations

from trial.sentences import Sentence

MOST_CHARACTERS = 64
_SHOWN_CHARACTERS = 24

SAME_KEYS = str.maketrans(
    {
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        "\N{FULLWIDTH FULL STOP}": ".",
        "\N{IDEOGRAPHIC FULL STOP}": ".",
        "\N{FULLWIDTH COMMA}": ",",
        "\N{IDEOGRAPHIC COMMA}": ",",
        "\N{FULLWIDTH LESS-THAN SIGN}": "<",
        "\N{FULLWIDTH GREATER-THAN SIGN}": ">",
        "\N{LEFT DOUBLE ANGLE BRACKET}": "<",
        "\N{RIGHT DOUBLE ANGLE BRACKET}": ">",
        "\N{FULLWIDTH HYPHEN-MINUS}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{FULLWIDTH PLUS SIGN}": "+",
        "\N{FULLWIDTH SOLIDUS}": "/",
        "\N{FULLWIDTH COLON}": ":",
        "\N{FULLWIDTH PERCENT SIGN}": "%",
        "\N{FULLWIDTH EQUALS SIGN}": "=",
        "\N{IDEOGRAPHIC SPACE}": " ",
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\t": " ",
    }
)
"""Characters that an input method or a spreadsheet puts in place of an ASCII one."""


class Unreadable(ValueError):
    """What was typed cannot be read.

    Attributes
    ----------
    rule
        Code of the rule that refused it, stable for reports.
    value
        What was typed, shortened and made printable.
    sentence
        What is wrong and where.
    remedy
        How to mend it.
    """

    def __init__(self, rule: str, text: str, sentence: Sentence, remedy: Sentence) -> None:
        self.rule = rule
        self.value = printable(text)
        self.sentence = sentence
        self.remedy = remedy
        super().__init__(rule, self.value)

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"


def printable(text: str) -> str:
    """Return ``text`` fit to stand in a message: short, with nothing invisible in it."""
    clean = "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text[: _SHOWN_CHARACTERS + 1])
    return clean if len(text) <= _SHOWN_CHARACTERS else clean[:_SHOWN_CHARACTERS] + "\N{HORIZONTAL ELLIPSIS}"
