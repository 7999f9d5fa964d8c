"""Addresses. Floors above hang themselves in by name."""

from __future__ import annotations

from django.urls import include, path

from trial import views

trial_patterns = (
    [
        path("audit/", views.audit_log, name="audit"),
        path("audit/<int:number>/", views.revision, name="revision"),
        path("jobs/<uuid:job_id>/", views.job, name="job"),
        path("jobs/<uuid:job_id>/file/", views.job_file, name="job_file"),
        path("account/", views.account, name="account"),
        path("shortcuts/", views.shortcuts, name="shortcuts"),
        path("health/live/", views.live, name="live"),
        path("health/ready/", views.ready, name="ready"),
    ],
    "trial",
)

urlpatterns = [
    path("", include(trial_patterns)),
    path("", include("patients.urls")),
    path("", include("infusions.urls")),
    path("", include("analytics.urls")),
]
