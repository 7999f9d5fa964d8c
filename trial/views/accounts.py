"""What an account admin does: who may come in, as what, and where. No clinical data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from trial import account_selectors as reads
from trial import accounts as signing_in
from trial import actions, drafts, idempotency
from trial.account_forms import AccountForm, NewAccountForm, NoteForm, SiteForm
from trial.models import User
from trial.roles import Permission, requires

SOURCE = "accounts"
MOST_EVENTS = 40
MOST_EVENTS_OF_ONE = 100


@requires(Permission.MANAGE_ACCOUNTS)
@require_safe
def accounts(request: HttpRequest) -> HttpResponse:
    """List people and sites, and what was done to accounts last."""
    locked, codes = signing_in.locked_out(), signing_in.second_steps()
    context = {
        "place": "accounts",
        "zone": settings.TIME_ZONE,
        "people": [
            {"person": each, "is_locked": each.username in locked, "has_codes": each.pk in codes}
            for each in reads.people().order_by("-is_active", "site__code", "role", "username")
        ],
        "sites": reads.sites(),
        "events": reads.events()[:MOST_EVENTS],
    }
    return render(request, "trial/accounts.html", context)


@sensitive_variables("password")
@never_cache
@requires(Permission.MANAGE_ACCOUNTS)
def new_account(request: HttpRequest) -> HttpResponse:
    """Let a person in; the password is made here and shown once."""
    form = NewAccountForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        username, password = form.cleaned_data["username"], actions.new_password()
        try:
            with idempotency.once(request, by=request.user, source=SOURCE) as attempt:
                if not attempt.is_repeated:
                    account = actions.create_account(
                        by=request.user, username=username, password=password, source=SOURCE, **form.given()
                    )
                else:
                    # the first answer may never have arrived, and its password is kept nowhere
                    account = reads.account_named(username)
                    if account.last_login is None:
                        password = actions.reset_password(account=account, by=request.user)
                    else:
                        password = ""
        except ValidationError as error:
            _show(form, error)
        else:
            drafts.forget(request, request.user)  # as after a save that leads to another page
            return _password_page(request, account, password)
    return _form_page(request, "trial/new_account.html", form)


@requires(Permission.MANAGE_ACCOUNTS)
def new_site(request: HttpRequest) -> HttpResponse:
    """Add a hospital to the study."""
    form = SiteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            with idempotency.once(request, by=request.user, source=SOURCE) as attempt:
                if not attempt.is_repeated:
                    actions.open_site(by=request.user, source=SOURCE, **form.cleaned_data)
        except ValidationError as error:
            _show(form, error)
        else:
            messages.success(request, _("%(site)s joined the study.") % {"site": form.cleaned_data["name"]})
            return redirect("trial:accounts")
    return _form_page(request, "trial/new_site.html", form)


@requires(Permission.MANAGE_ACCOUNTS)
def change_account(request: HttpRequest, account_id: int) -> HttpResponse:
    """Show an account and what was done to it; a POST changes name, role or site."""
    account = reads.account_or_404(account_id)
    form = AccountForm(request.POST if request.method == "POST" else None, account=account)
    if request.method == "POST" and form.is_valid():
        try:
            with idempotency.once(request, by=request.user, source=SOURCE) as attempt:
                if not attempt.is_repeated:
                    actions.change_account(
                        account=account,
                        by=request.user,
                        note=form.cleaned_data["note"],
                        seen=form.cleaned_data["seen"],
                        source=SOURCE,
                        **form.given(),
                    )
        except ValidationError as error:
            _show(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("trial:change_account", account_id)
    return _account_page(request, account, form)


@requires(Permission.MANAGE_ACCOUNTS)
@require_POST
def set_active(request: HttpRequest, account_id: int) -> HttpResponse:
    """Let an account sign in no more, or again."""
    account = reads.account_or_404(account_id)
    active = request.POST.get("active") == "yes"

    def act(note: str) -> str:
        with idempotency.once(request, by=request.user, source=SOURCE) as attempt:
            if not attempt.is_repeated:
                actions.set_active(account=account, by=request.user, active=active, note=note, source=SOURCE)
        return _("The account can sign in again.") if active else _("The account can sign in no more.")

    return _acted(request, account, act)


@requires(Permission.MANAGE_ACCOUNTS)
@require_POST
def remove_codes(request: HttpRequest, account_id: int) -> HttpResponse:
    """Take away the second step of somebody who lost it."""
    account = reads.account_or_404(account_id)

    def act(note: str) -> str:
        removed = actions.remove_codes(account=account, by=request.user, note=note)
        return _("The second step is removed.") if removed else _("There was no second step.")

    return _acted(request, account, act)


@requires(Permission.MANAGE_ACCOUNTS)
@require_POST
def unlock(request: HttpRequest, account_id: int) -> HttpResponse:
    """Forget the failed logins of an account."""
    account = reads.account_or_404(account_id)

    def act(note: str) -> str:
        actions.unlock(account=account, by=request.user, note=note)
        # the login's library counts for itself, and tells nobody
        signing_in.forget_attempts(request, account)
        return _("The account can be tried again at once.")

    return _acted(request, account, act)


@sensitive_variables("password")
@never_cache
@requires(Permission.MANAGE_ACCOUNTS)
@require_POST
def reset_password(request: HttpRequest, account_id: int) -> HttpResponse:
    """Give an account a new password, and show it once."""
    account = reads.account_or_404(account_id)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return _account_page(request, account, AccountForm(account=account), note_form=form)
    try:
        password = actions.reset_password(account=account, by=request.user, note=form.cleaned_data["note"])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("trial:change_account", account.pk)
    return _password_page(request, account, password)


def _acted(request: HttpRequest, account: User, act: Callable[[str], str]) -> HttpResponse:
    form = NoteForm(request.POST)
    if not form.is_valid():
        return _account_page(request, account, AccountForm(account=account), note_form=form)
    try:
        messages.success(request, act(form.cleaned_data["note"]))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("trial:change_account", account.pk)


def _show(form: Any, error: ValidationError) -> None:
    """Show what an action refused beside the fields it is about."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, problems in error.error_dict.items():
        form.add_error(name if name in form.fields else None, problems)


def _account_page(
    request: HttpRequest, account: User, form: AccountForm, note_form: NoteForm | None = None
) -> HttpResponse:
    context = {
        "place": "accounts",
        "zone": settings.TIME_ZONE,
        "account": account,
        "form": form,
        "note_form": note_form or NoteForm(),
        "is_self": account.pk == request.user.pk,
        "is_locked": account.username in signing_in.locked_out(),
        "has_codes": account.pk in signing_in.second_steps(),
        "events": reads.events(account)[:MOST_EVENTS_OF_ONE],
    }
    refused = form.errors or (note_form is not None and note_form.errors)
    return render(
        request, "trial/change_account.html", context | _key(request), status=422 if refused else 200
    )


@sensitive_variables("password")
def _password_page(request: HttpRequest, account: User, password: str) -> HttpResponse:
    context = {"place": "accounts", "account": account, "password": password}
    return render(request, "trial/new_password.html", context)


def _form_page(request: HttpRequest, template: str, form: Any) -> HttpResponse:
    context = {"place": "accounts", "form": form} | _key(request)
    return render(request, template, context, status=422 if form.errors else 200)


def _key(request: HttpRequest) -> dict[str, Any]:
    return {"key": idempotency.key_of(request), "key_field": idempotency.FIELD}
