"""Addresses of infusions and lots."""

from __future__ import annotations

from django.urls import path

from infusions import views

app_name = "infusions"
urlpatterns = [
    path("infusions/", views.place, name="list"),
    path("infusions/lots/new/", views.new_lot, name="lot"),
    path("patients/<str:subject_id>/course/", views.course, name="course"),
    path("patients/<str:subject_id>/infusions/<int:number>/", views.give, name="give"),
    path("patients/<str:subject_id>/infusions/<int:number>/check/", views.check, name="check"),
    path("patients/<str:subject_id>/infusions/<int:number>/void/", views.void, name="void"),
]
