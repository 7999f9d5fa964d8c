"""Addresses of subjects and what is captured about them."""

from __future__ import annotations

from django.urls import path

from patients.views import visit

app_name = "patients"
urlpatterns = [
    path("patients/<str:subject_id>/visits/<int:week>/", visit.enter_visit, name="enter_visit"),
    path("patients/<str:subject_id>/visits/new/", visit.enter_unscheduled, name="enter_unscheduled"),
    path("patients/<str:subject_id>/draws/<int:visit_id>/", visit.edit_unscheduled, name="edit_unscheduled"),
]
