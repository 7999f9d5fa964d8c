"""The same as in English: one study, one way to write a date and a number."""

from trial.formats.en.formats import *  # noqa: F403
