"""Addresses of the results."""

from __future__ import annotations

from django.urls import path

from analytics.views import contrast, export, files, flow, freshness, lineage, meld, paper, survival, trend

app_name = "analytics"
urlpatterns = [
    path("patients/<str:subject_id>/", trend.trend, name="trend"),
    path("patients/<str:subject_id>/trend.png", trend.download, {"form": "png"}, name="trend_png"),
    path("patients/<str:subject_id>/trend.pdf", trend.download, {"form": "pdf"}, name="trend_pdf"),
    path("patients/<str:subject_id>/trend.svg", trend.download, {"form": "svg"}, name="trend_svg"),
    path("analysis/", contrast.analysis, name="analysis"),
    path("analysis/rows/", contrast.rows, name="rows"),
    path("analysis/history/", lineage.history, name="cell_history"),
    path("analysis/moves/", lineage.feed, name="moves"),
    path("results/values/<str:subject_id>/<int:week>/<str:analyte>/", lineage.value, name="value"),
    path("analysis/paper/", paper.paper, name="paper"),
    path("analysis/paper/all/", paper.everything, name="paper_all"),
    path("analysis/paper/<str:paper_name>.<str:paper_form>", paper.file, name="paper_file"),
    path("analysis/survival/", survival.survival, name="survival"),
    path("analysis/survival/sheet/", survival.survival_sheet, name="survival_sheet"),
    path("analysis/survival/rows/", survival.survival_rows, name="survival_rows"),
    path("analysis/survival/follow_up.csv", survival.follow_up_file, name="follow_up"),
    path("analysis/survival/figure.svg", survival.survival_figure_file, {"kind": "svg"}, name="survival_svg"),
    path("analysis/survival/figure.pdf", survival.survival_figure_file, {"kind": "pdf"}, name="survival_pdf"),
    path("analysis/survival/figure.png", survival.survival_figure_file, {"kind": "png"}, name="survival_png"),
    path("analysis/models/", survival.models, name="models"),
    path("analysis/models/sheet/", survival.models_sheet, name="models_sheet"),
    path("analysis/<str:contrast>/<str:analyte>/<str:measure>/", contrast.contrast, name="contrast"),
    path(
        "analysis/<str:contrast>/<str:analyte>/<str:measure>/sensitivity/",
        contrast.sensitivity,
        name="sensitivity",
    ),
    path(
        "analysis/<str:contrast>/<str:analyte>/<str:measure>/file.<str:kind>",
        contrast.contrast_file,
        name="contrast_file",
    ),
    path("analysis/flow/", flow.flow_diagram, name="flow"),
    path("analysis/flow.<str:extension>", flow.flow_file, name="flow_file"),
    path("analysis/flow/<str:box>/", flow.flow_box, name="flow_box"),
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
