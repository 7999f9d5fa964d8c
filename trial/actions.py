"""What may happen to sites and accounts."""

from __future__ import annotations

import secrets
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from trial import accounts, audit
from trial.models import AccountEvent, Site, User
from trial.roles import ROLE_LABELS, SITE_ROLES, Permission, Role


def _refuse_unless_entitled(by: User) -> None:
    if by.username != audit.SERVICE_ACCOUNT and not by.may(Permission.MANAGE_ACCOUNTS):
        raise ValidationError(_("%(name)s may not manage accounts."), params={"name": by.username})


@transaction.atomic
def open_site(*, by: User, code: str, name: str, time_zone: str, source: str = "") -> Site:
    """Add a hospital to the study.

    Raises
    ------
    ValidationError
        If the code is taken or the time zone unknown.
    """
    _refuse_unless_entitled(by)
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValidationError(
            _("“%(zone)s” is no time zone. Give one such as Asia/Shanghai."), params={"zone": time_zone}
        ) from error
    site = Site(code=code, name=name, time_zone=time_zone)
    site.full_clean()
    with audit.revision(by=by, reason="site opened", source=source):
        site.save(force_insert=True)
    _log(None, by, AccountEvent.Kind.SITE_OPENED, f"{site.code}, {site.name}")
    return site


@transaction.atomic
def create_account(
    *,
    by: User,
    username: str,
    role: Role,
    site: Site | None,
    password: str,
    first_name: str = "",
    last_name: str = "",
    source: str = "",
) -> User:
    """Let a person in.

    Parameters
    ----------
    by
        An account admin, or the service account for the first of them.
    site
        The hospital of a coordinator or hepatologist; None for all other roles.

    Raises
    ------
    ValidationError
        If the name is taken, the role lacks its site, or the password is weak.
    """
    _refuse_unless_entitled(by)
    _refuse_wrong_site(role, site)
    user = User(username=username, role=role.value, site=site, first_name=first_name, last_name=last_name)
    validate_password(password, user)
    user.set_password(password)
    user.full_clean()
    with audit.revision(by=by, reason="account created", source=source):
        user.save(force_insert=True)
    _log(user, by, AccountEvent.Kind.CREATED, _standing(user))
    return user


@transaction.atomic
def change_account(
    *,
    account: User,
    by: User,
    role: Role,
    site: Site | None,
    first_name: str,
    last_name: str,
    note: str = "",
    seen: str | None = None,
    source: str = "",
) -> User:
    """Change the name, the role or the site of an account; who wrote under it stays who wrote.

    Parameters
    ----------
    seen
        What :func:`standing_of` said when the page was opened; None when no page was.

    Raises
    ------
    ValidationError
        If the role lacks its site, the admin would lose the own rights, or
        somebody changed the account meanwhile.
    """
    stored = _locked(account, by)
    if seen is not None and seen != standing_of(stored):
        raise ValidationError(
            _("Somebody changed this account meanwhile. Look at what stands there now, then save again.")
        )
    if stored.pk == by.pk and role != stored.role:
        raise ValidationError(_("Nobody changes the own role. Ask another account admin."))
    _refuse_wrong_site(role, site)
    before = _standing(stored)
    stored.role, stored.site = role.value, site
    stored.first_name, stored.last_name = first_name, last_name
    stored.full_clean()
    if standing_of(stored) == standing_of(account_of(stored.pk)):
        return stored
    with audit.revision(by=by, reason=note or "account changed", source=source):
        stored.save(update_fields=["role", "site", "first_name", "last_name"])
    # rights change at once, and so does what an open page shows
    accounts.end_other_sessions(stored, "")
    _log(stored, by, AccountEvent.Kind.CHANGED, f"{before} -> {_standing(stored)}", note)
    return stored


@transaction.atomic
def set_active(*, account: User, by: User, active: bool, note: str = "", source: str = "") -> User:
    """Let an account sign in no more, or again. No account is ever deleted: its name stands in the trail.

    Raises
    ------
    ValidationError
        If an admin would deactivate the own account.
    """
    stored = _locked(account, by)
    if stored.pk == by.pk and not active:
        raise ValidationError(_("Nobody deactivates the own account. Ask another account admin."))
    if stored.is_active == active:
        return stored
    stored.is_active = active
    kind = AccountEvent.Kind.REACTIVATED if active else AccountEvent.Kind.DEACTIVATED
    with audit.revision(by=by, reason=note or f"account {kind.value}", source=source):
        stored.save(update_fields=["is_active"])
    if not active:
        accounts.end_other_sessions(stored, "")
    _log(stored, by, kind, "", note)
    return stored


@transaction.atomic
def reset_password(*, account: User, by: User, note: str = "") -> str:
    """Give an account a new password, end its sessions, and return the password: it is shown once and kept nowhere."""
    stored = _locked(account, by)
    password = new_password()
    stored.set_password(password)
    stored.save(update_fields=["password"])
    accounts.end_other_sessions(stored, "")
    _log(stored, by, AccountEvent.Kind.PASSWORD_RESET, "", note)
    return password


@transaction.atomic
def remove_codes(*, account: User, by: User, note: str = "") -> bool:
    """Take away the second step of somebody who lost it; return whether there was one."""
    stored = _locked(account, by)
    removed = accounts.forget_second_step(stored)
    if removed:
        accounts.end_other_sessions(stored, "")
        _log(stored, by, AccountEvent.Kind.CODES_OFF, "", note)
    return removed


@transaction.atomic
def unlock(*, account: User, by: User, note: str = "") -> bool:
    """Forget the failed logins of an account; return whether there were any."""
    stored = _locked(account, by)
    forgotten = accounts.forget_failures(stored)
    if forgotten:
        _log(stored, by, AccountEvent.Kind.UNLOCKED, "", note)
    return forgotten


def new_password() -> str:
    """Return a password that nobody has chosen."""
    return secrets.token_urlsafe(15)


def account_of(pk: int) -> User:
    """Return an account as it is stored."""
    found: User = User.objects.select_related("site").get(pk=pk)
    return found


def standing_of(account: User) -> str:
    """Return what a page shows of an account, to find out whether it changed meanwhile."""
    return "|".join((account.role, str(account.site_id or ""), account.first_name, account.last_name))


def _standing(account: User) -> str:
    site = account.site.code if account.site else "-"
    return f"{account.shown_name}, {account.role or '-'}, {site}"


def _locked(account: User, by: User) -> User:
    _refuse_unless_entitled(by)
    stored: User = User.objects.select_for_update(of=("self",)).select_related("site").get(pk=account.pk)
    if stored.username == audit.SERVICE_ACCOUNT:
        raise ValidationError(_("The account of the software itself is not changed."))
    return stored


def _refuse_wrong_site(role: Role, site: Site | None) -> None:
    if (role in SITE_ROLES) != (site is not None):
        needs = (
            _("The role “%(role)s” belongs to a site.")
            if role in SITE_ROLES
            else _("The role “%(role)s” has no site.")
        )
        raise ValidationError(needs, params={"role": ROLE_LABELS[role]})


def _log(account: User | None, by: User, kind: AccountEvent.Kind, *said: str) -> None:
    note = ": ".join(part for part in said if part)[:300]
    AccountEvent.objects.create(account=account, by=by, kind=kind, note=note)
