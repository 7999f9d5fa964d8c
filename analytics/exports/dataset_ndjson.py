"""Datasets as CDISC Dataset-NDJSON 1.1: a line of description, then a line for each row."""

from __future__ import annotations

from analytics.exports.dataset_json import write_lines as write

__all__ = ["write"]
