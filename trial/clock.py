"""What day it is at a site. Dates of the study are days there; times are stored in UTC."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from django.utils import timezone

from trial.models import Site


def zone(site: Site) -> ZoneInfo:
    """Return the time zone of a site."""
    return ZoneInfo(site.time_zone)


def today_at(site: Site) -> date:
    """Return the day it is at a site now."""
    return timezone.now().astimezone(zone(site)).date()


def moment_at(site: Site, day: date, hour: time) -> datetime:
    """Return the moment at which the clocks of a site showed ``hour`` on ``day``."""
    return datetime.combine(day, hour, zone(site))


def hour_at(site: Site, moment: datetime) -> time:
    """Return what the clocks of a site showed at a moment."""
    return moment.astimezone(zone(site)).time().replace(second=0, microsecond=0)
