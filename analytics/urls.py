"""Addresses of the results."""

from __future__ import annotations

from django.urls import path

from analytics.views import trend

app_name = "analytics"
urlpatterns = [
    path("patients/<str:subject_id>/", trend.trend, name="trend"),
]
