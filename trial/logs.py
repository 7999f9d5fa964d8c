"""Log lines that hold no patient's data."""

from __future__ import annotations

import logging
import traceback
from errno import errorcode
from types import TracebackType


class Discreet(logging.Formatter):
    """Writes where an error happened and of what kind it is, never what it says.

    Messages quote values: a constraint of the database names the row it refused,
    a conversion the text it could not read.
    """

    def formatException(  # noqa: N802  the name is logging's
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        parts: list[str] = []
        error: BaseException | None = ei[1]
        while error is not None:
            parts.append("".join(traceback.format_tb(error.__traceback__)) + named(error))
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\ncaused this:\n".join(reversed(parts))


def named(error: BaseException) -> str:
    """Return the kind of an error, with the code that the database or the system gave it."""
    kind = type(error)
    code = getattr(error, "sqlstate", None) or errorcode.get(getattr(error, "errno", None) or 0)
    return f"{kind.__module__}.{kind.__qualname__}" + (f" ({code})" if code else "")
