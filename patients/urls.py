"""Addresses of subjects."""

from __future__ import annotations

from django.urls import path

from patients.views import listing, today

app_name = "patients"
urlpatterns = [
    path("", today.today, name="today"),
    path("patients/", listing.patient_list, name="list"),
    path("patients/jump/", listing.jump, name="jump"),
]
