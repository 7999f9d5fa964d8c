"""Addresses of the results."""

from __future__ import annotations

from django.urls import path

from analytics.views import contrast, export, trend

app_name = "analytics"
urlpatterns = [
    path("patients/<str:subject_id>/", trend.trend, name="trend"),
    path("analysis/", contrast.analysis, name="analysis"),
    path("analysis/rows/", contrast.rows, name="rows"),
    path("analysis/<str:contrast>/<str:analyte>/<str:measure>/", contrast.contrast, name="contrast"),
    path("data/export/", export.export, name="export"),
]
