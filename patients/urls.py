"""Addresses of subjects."""

from __future__ import annotations

from django.urls import path

from patients.views import history, identity, labs, listing, outcome, register, screening, today, visit

app_name = "patients"
urlpatterns = [
    path("", today.today, name="today"),
    path("patients/", listing.patient_list, name="list"),
    path("patients/jump/", listing.jump, name="jump"),
    path("patients/new/", register.register, name="register"),
    path("audit/identities/", identity.identity_views, name="identity_views"),
    path("patients/<str:subject_id>/identity/", identity.identity, name="identity"),
    path("patients/<str:subject_id>/merge/", identity.merge, name="merge"),
    path("patients/<str:subject_id>/merge/<str:code>/undo/", identity.undo_merge, name="undo_merge"),
    path("patients/<str:subject_id>/labs/", labs.labs, name="labs"),
    path("patients/<str:subject_id>/history/", history.history, name="history"),
    path("patients/<str:subject_id>/eligibility/", screening.eligibility_of, name="eligibility"),
    path("patients/<str:subject_id>/screening/", screening.screen, name="screen"),
    path("patients/<str:subject_id>/screening/verdict/", screening.verdict, name="verdict"),
    path("patients/<str:subject_id>/outcomes/", outcome.outcomes, name="outcomes"),
    path("patients/<str:subject_id>/outcomes/<int:outcome_id>/void/", outcome.void, name="void_outcome"),
    path("patients/<str:subject_id>/visits/<int:week>/", visit.enter_visit, name="enter_visit"),
    path("patients/<str:subject_id>/visits/new/", visit.enter_unscheduled, name="enter_unscheduled"),
    path("patients/<str:subject_id>/visits/<int:visit_id>/void/", labs.void_visit, name="void_visit"),
    path("patients/<str:subject_id>/draws/<int:visit_id>/", visit.edit_unscheduled, name="edit_unscheduled"),
]
