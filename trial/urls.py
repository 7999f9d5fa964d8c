"""Addresses. Floors above hang themselves in by name."""

from __future__ import annotations

from allauth.account import views as accounts
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language

from trial import views

# each address of this floor is added with the module of views that answers it
trial_urls: list[URLPattern | URLResolver] = [
    path("account/", views.account, name="account"),
    path("account/draft/", views.draft, name="draft"),
    path("account/session/", views.session, name="session"),
    path("account/tokens/", views.tokens, name="tokens"),
    path("account/tokens/<int:token_id>/revoke/", views.revoke_token, name="revoke_token"),
    path("accounts/", views.accounts, name="accounts"),
    path("accounts/new/", views.new_account, name="new_account"),
    path("accounts/sites/new/", views.new_site, name="new_site"),
    path("accounts/<int:account_id>/", views.change_account, name="change_account"),
    path("accounts/<int:account_id>/active/", views.set_active, name="set_active"),
    path("accounts/<int:account_id>/password/", views.reset_password, name="reset_password"),
    path("accounts/<int:account_id>/codes/", views.remove_codes, name="remove_codes"),
    path("accounts/<int:account_id>/unlock/", views.unlock, name="unlock"),
    path("shortcuts/", views.shortcuts, name="shortcuts"),
    path("audit/", views.audit_log, name="audit"),
    path("audit/<int:number>/", views.revision, name="revision"),
    path("jobs/<uuid:job_id>/", views.job, name="job"),
    path("jobs/<uuid:job_id>/cancel/", views.cancel_job, name="cancel_job"),
    path("jobs/<uuid:job_id>/file/", views.job_file, name="job_file"),
    path("health/live/", views.live, name="live"),
    path("health/ready/", views.ready, name="ready"),
]

# only what is wanted of the login's library: nobody signs up, and there is no mail
account_urls = [
    path("login/", accounts.login, name="account_login"),
    path("login/code/", mfa.authenticate, name="mfa_authenticate"),
    path("logout/", accounts.logout, name="account_logout"),
    path("account/inactive/", accounts.account_inactive, name="account_inactive"),
    path("account/again/", accounts.reauthenticate, name="account_reauthenticate"),
    path("account/again/code/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("account/password/", accounts.password_change, name="account_change_password"),
    path("account/codes/", mfa.index, name="mfa_index"),
    path("account/codes/on/", totp.activate_totp, name="mfa_activate_totp"),
    path("account/codes/off/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("account/codes/recovery/", recovery.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("account/codes/recovery/new/", recovery.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path(
        "account/codes/recovery/file/", recovery.download_recovery_codes, name="mfa_download_recovery_codes"
    ),
]

urlpatterns = [
    path("language/", set_language, name="set_language"),
    path("", include((trial_urls, "trial"))),
    path("", include(account_urls)),
    path("", include("patients.urls")),
    path("", include("infusions.urls")),
    path("", include("analytics.urls")),
]

handler500 = "trial.views.failures.server_error"
