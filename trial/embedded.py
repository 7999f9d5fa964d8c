"""Embedded PostgreSQL (being written)."""
from pathlib import Path
def secret_key(data_dir: Path) -> str: return "stub"
def connection(data_dir: Path, *, role: str) -> dict: return {"NAME": "cordline", "USER": "postgres", "HOST": "/tmp"}
