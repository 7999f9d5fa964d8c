"""What an account admin sees: people, sites, and what was done to accounts."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet
from django.http import Http404

from trial import audit
from trial.models import AccountEvent, Site, User

_LONGEST_KEY = 2**63 - 1


def people() -> QuerySet[User]:
    """Return every account of a person; the software's own is none."""
    return User.objects.exclude(username=audit.SERVICE_ACCOUNT).select_related("site")


def account_or_404(account_id: int) -> User:
    """Return one of them."""
    found = people().filter(pk=account_id).first() if account_id <= _LONGEST_KEY else None
    if found is None:
        raise Http404
    return found


def account_named(username: str) -> User:
    """Return the account of a name that exists."""
    return User.objects.get(username=username)


def sites() -> QuerySet[Site]:
    """Return the sites with ``active`` and ``closed``, how many accounts each has."""
    return Site.objects.annotate(
        active=Count("user", filter=Q(user__is_active=True)),
        closed=Count("user", filter=Q(user__is_active=False)),
    ).order_by("code")


def events(account: User | None = None) -> QuerySet[AccountEvent]:
    """Return what was done to one account, or to any, the newest first."""
    found = AccountEvent.objects.select_related("account", "by")
    return found if account is None else found.filter(account=account)
