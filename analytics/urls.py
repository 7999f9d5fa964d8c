"""Addresses of the results."""

from __future__ import annotations

from django.urls import path

from analytics.views import contrast, export, files, freshness, meld, trend

app_name = "analytics"
urlpatterns = [
    path("patients/<str:subject_id>/", trend.trend, name="trend"),
    path("analysis/", contrast.analysis, name="analysis"),
    path("analysis/rows/", contrast.rows, name="rows"),
    path("analysis/<str:contrast>/<str:analyte>/<str:measure>/", contrast.contrast, name="contrast"),
    path("results/freshness/", freshness.freshness, name="freshness"),
    path("results/since/", freshness.since_last_look, name="since"),
    path("results/moved/<int:number>/", freshness.revision_moved, name="moved"),
    path("results/meld/<str:subject_id>/", meld.preview, name="meld_preview"),
    path("results/saved/<str:subject_id>/<int:visit_id>/<int:number>/", meld.read_back, name="read_back"),
    path("data/", files.data, name="data"),
    path("data/import/", files.import_file, name="import"),
    path("data/import/<uuid:job_id>/", files.import_preview, name="import_preview"),
    path("data/import/<uuid:job_id>/refused/", files.import_refused, name="import_refused"),
    path("data/import/<uuid:job_id>/report/", files.import_report, name="import_report"),
    path("data/export/", export.export, name="export"),
]
