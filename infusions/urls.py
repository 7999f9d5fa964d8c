"""Addresses of infusions and lots."""

from __future__ import annotations

from django.urls import path

from infusions import views

app_name = "infusions"
urlpatterns = [
    path("infusions/", views.place, name="list"),
    path("infusions/lots/", views.lots, name="lots"),
    # a code has no small letters, so that none is ever "new"
    path("infusions/lots/new/", views.new_lot, name="new_lot"),
    path("infusions/lots/<str:lot_code>/", views.lot, name="lot"),
    path("infusions/lots/<str:lot_code>/edit/", views.edit_lot, name="edit_lot"),
    path("infusions/lots/<str:lot_code>/tests/", views.release_tests, name="release_tests"),
    path("infusions/lots/<str:lot_code>/custody/", views.add_custody, name="custody"),
    path("infusions/lots/<str:lot_code>/recipients.csv", views.recipients, name="recipients"),
    path("patients/<str:subject_id>/course/", views.course, name="course"),
    path("patients/<str:subject_id>/course/decision/", views.decide, name="decide"),
    path("patients/<str:subject_id>/lots.csv", views.patient_lots, name="patient_lots"),
    path("patients/<str:subject_id>/infusions/<int:number>/", views.give, name="give"),
    path("patients/<str:subject_id>/infusions/<int:number>/check/", views.check, name="check"),
    path("patients/<str:subject_id>/infusions/<int:number>/missed/", views.mark_missed, name="mark_missed"),
    path("patients/<str:subject_id>/infusions/<int:number>/plan/", views.plan, name="plan"),
    path("patients/<str:subject_id>/infusions/<int:number>/void/", views.void, name="void"),
]
