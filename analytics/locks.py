"""Advisory locks of the database under which results are made."""

from __future__ import annotations

RESULTS = 7_305_042
"""Held by the one refresh that is at work."""

PUMP = 7_305_043
"""Held by the one pump that is active."""
