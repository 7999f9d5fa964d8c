"""What may happen to sites and accounts."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from trial import audit
from trial.models import Site, User
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
    if (role in SITE_ROLES) != (site is not None):
        needs = (
            _("The role “%(role)s” belongs to a site.")
            if role in SITE_ROLES
            else _("The role “%(role)s” has no site.")
        )
        raise ValidationError(needs, params={"role": ROLE_LABELS[role]})
    user = User(username=username, role=role.value, site=site, first_name=first_name, last_name=last_name)
    validate_password(password, user)
    user.set_password(password)
    user.full_clean()
    with audit.revision(by=by, reason="account created", source=source):
        user.save(force_insert=True)
    return user
