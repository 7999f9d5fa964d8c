"""Who may do what: the one table of role and permission.

Every view names the permission it needs with :func:`requires`, so that the
whole URLconf can be listed and tested against this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from types import MappingProxyType
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

MUST_CHOOSE = "choose_password"
"""What a session says while its person still has the password that somebody else gave them."""


class Permission(StrEnum):
    """One thing a person may do."""

    VIEW_CLINICAL = "view_clinical"
    VIEW_IDENTITY = "view_identity"
    REGISTER_SUBJECTS = "register_subjects"
    ENTER_CLINICAL_DATA = "enter_clinical_data"
    RECORD_INFUSIONS = "record_infusions"
    CONFIRM_GRADES = "confirm_grades"
    DECIDE_COURSE = "decide_course"
    RELEASE_LOTS = "release_lots"
    RAISE_QUERIES = "raise_queries"
    ANSWER_QUERIES = "answer_queries"
    CLOSE_QUERIES = "close_queries"
    VERIFY = "verify"
    SIGN = "sign"
    LOCK = "lock"
    MANAGE_LABORATORIES = "manage_laboratories"
    MERGE_SUBJECTS = "merge_subjects"
    VIEW_ANALYSIS = "view_analysis"
    FREEZE_RESULTS = "freeze_results"
    IMPORT_FILES = "import_files"
    EXPORT_FILES = "export_files"
    EXPORT_IDENTIFIED = "export_identified"
    VIEW_AUDIT = "view_audit"
    MANAGE_ACCOUNTS = "manage_accounts"
    USE_ACCOUNT = "use_account"


class Role(StrEnum):
    COORDINATOR = "coordinator"
    HEPATOLOGIST = "hepatologist"
    STATISTICIAN = "statistician"
    MONITOR = "monitor"
    DATA_MANAGER = "data_manager"
    ACCOUNT_ADMIN = "account_admin"


ROLE_LABELS: Mapping[Role, Any] = MappingProxyType(
    {
        Role.COORDINATOR: _("Coordinator"),
        Role.HEPATOLOGIST: _("Hepatologist"),
        Role.STATISTICIAN: _("Statistician"),
        Role.MONITOR: _("Monitor"),
        Role.DATA_MANAGER: _("Data manager"),
        Role.ACCOUNT_ADMIN: _("Account admin"),
    }
)

PERMISSION_LABELS: Mapping[Permission, Any] = MappingProxyType(
    {
        Permission.VIEW_CLINICAL: _("read clinical records"),
        Permission.VIEW_IDENTITY: _("see who a subject is"),
        Permission.REGISTER_SUBJECTS: _("register subjects"),
        Permission.ENTER_CLINICAL_DATA: _("enter and correct clinical records"),
        Permission.RECORD_INFUSIONS: _("record infusions"),
        Permission.CONFIRM_GRADES: _("confirm grades of adverse events"),
        Permission.DECIDE_COURSE: _("decide on the course"),
        Permission.RELEASE_LOTS: _("release and recall lots"),
        Permission.RAISE_QUERIES: _("open queries"),
        Permission.ANSWER_QUERIES: _("answer queries"),
        Permission.CLOSE_QUERIES: _("close queries"),
        Permission.VERIFY: _("verify against the source"),
        Permission.SIGN: _("sign"),
        Permission.LOCK: _("lock and unlock"),
        Permission.MANAGE_LABORATORIES: _("manage laboratories and reference ranges"),
        Permission.MERGE_SUBJECTS: _("merge subjects registered twice"),
        Permission.VIEW_ANALYSIS: _("read the analysis"),
        Permission.FREEZE_RESULTS: _("freeze snapshots"),
        Permission.IMPORT_FILES: _("import files"),
        Permission.EXPORT_FILES: _("export files"),
        Permission.EXPORT_IDENTIFIED: _("export with names"),
        Permission.VIEW_AUDIT: _("read the trail"),
        Permission.MANAGE_ACCOUNTS: _("manage accounts"),
        Permission.USE_ACCOUNT: _("use an account"),
    }
)

SITE_ROLES: frozenset[Role] = frozenset({Role.COORDINATOR, Role.HEPATOLOGIST})
"""Roles that see one site; the others with clinical rights see all."""

P = Permission
PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.COORDINATOR: frozenset(
            {
                P.VIEW_CLINICAL,
                P.VIEW_IDENTITY,
                P.REGISTER_SUBJECTS,
                P.ENTER_CLINICAL_DATA,
                P.RECORD_INFUSIONS,
                P.ANSWER_QUERIES,
                P.VIEW_AUDIT,
                P.USE_ACCOUNT,
            }
        ),
        Role.HEPATOLOGIST: frozenset(
            {
                P.VIEW_CLINICAL,
                P.VIEW_IDENTITY,
                P.CONFIRM_GRADES,
                P.DECIDE_COURSE,
                P.RAISE_QUERIES,
                P.ANSWER_QUERIES,
                P.SIGN,
                P.VIEW_ANALYSIS,
                P.VIEW_AUDIT,
                P.USE_ACCOUNT,
            }
        ),
        Role.STATISTICIAN: frozenset(
            {
                P.VIEW_CLINICAL,
                P.VIEW_ANALYSIS,
                P.FREEZE_RESULTS,
                P.EXPORT_FILES,
                P.VIEW_AUDIT,
                P.USE_ACCOUNT,
            }
        ),
        Role.MONITOR: frozenset(
            {
                P.VIEW_CLINICAL,
                P.RAISE_QUERIES,
                P.CLOSE_QUERIES,
                P.VERIFY,
                P.VIEW_AUDIT,
                P.USE_ACCOUNT,
            }
        ),
        Role.DATA_MANAGER: frozenset(
            {
                P.VIEW_CLINICAL,
                P.REGISTER_SUBJECTS,
                P.ENTER_CLINICAL_DATA,
                P.RECORD_INFUSIONS,
                P.RELEASE_LOTS,
                P.RAISE_QUERIES,
                P.ANSWER_QUERIES,
                P.CLOSE_QUERIES,
                P.LOCK,
                P.MANAGE_LABORATORIES,
                P.MERGE_SUBJECTS,
                P.VIEW_ANALYSIS,
                P.FREEZE_RESULTS,
                P.IMPORT_FILES,
                P.EXPORT_FILES,
                P.EXPORT_IDENTIFIED,
                P.VIEW_AUDIT,
                P.USE_ACCOUNT,
            }
        ),
        Role.ACCOUNT_ADMIN: frozenset({P.MANAGE_ACCOUNTS, P.USE_ACCOUNT}),
    }
)

View = Callable[..., HttpResponseBase]


def allowed(user: Any, permission: Permission) -> bool:
    """Return whether ``user`` is signed in, active and holds ``permission``."""
    if not getattr(user, "is_authenticated", False) or not user.is_active or not user.role:
        return False
    return permission in PERMISSIONS[Role(user.role)]


def sees_donor(user: Any) -> bool:
    """Return whether a person needs to know a lot's donor: who enters lots, and who releases them."""
    return allowed(user, Permission.RECORD_INFUSIONS) or allowed(user, Permission.RELEASE_LOTS)


def requires(permission: Permission) -> Callable[[View], View]:
    """Let a view run only for users who hold ``permission``.

    Anonymous users are sent to the login and come back; others get a 403. The
    permission stays readable as ``view.permission``.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                # imported here because it needs the user model, which needs this module
                from django.contrib.auth.views import redirect_to_login

                return redirect_to_login(request.get_full_path())
            if getattr(request, "session", {}).get(MUST_CHOOSE):
                # what a page asks for by itself is left as it is
                if "HX-Request" in request.headers:
                    return HttpResponse(status=204)
                return redirect("account_change_password")
            if not allowed(request.user, permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        return guarded

    return decorate
