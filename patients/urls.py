"""Addresses of subjects."""

from __future__ import annotations

from django.urls import path

from patients.views import (
    events,
    grades,
    grid,
    history,
    identity,
    laboratories,
    labs,
    listing,
    locking,
    missed,
    outcome,
    queries,
    register,
    screening,
    screening_log,
    signing,
    today,
    verifying,
    visit,
)

app_name = "patients"
urlpatterns = [
    path("", today.today, name="today"),
    path("take-back/", missed.take_back, name="take_back"),
    path("patients/", listing.patient_list, name="list"),
    path("patients/jump/", listing.jump, name="jump"),
    path("patients/grid/", grid.sheet, name="grid"),
    path("patients/new/", register.register, name="register"),
    path("patients/screenings/", screening_log.screen_failures, name="screen_failures"),
    path("audit/identities/", identity.identity_views, name="identity_views"),
    path("patients/<str:subject_id>/identity/", identity.identity, name="identity"),
    path("patients/<str:subject_id>/merge/", identity.merge, name="merge"),
    path("patients/<str:subject_id>/merge/<str:code>/undo/", identity.undo_merge, name="undo_merge"),
    path("queries/", queries.queries, name="queries"),
    path("patients/<str:subject_id>/queries/", queries.patient_queries, name="patient_queries"),
    path("patients/<str:subject_id>/queries/new/", queries.raise_query, name="raise_query"),
    path("patients/<str:subject_id>/queries/<int:query_id>/", queries.query, name="query"),
    path("laboratories/", laboratories.laboratories, name="laboratories"),
    path("laboratories/new/", laboratories.new_laboratory, name="new_laboratory"),
    path("laboratories/<str:laboratory_code>/", laboratories.laboratory, name="laboratory"),
    path(
        "laboratories/<str:laboratory_code>/change/", laboratories.change_laboratory, name="change_laboratory"
    ),
    path("laboratories/<str:laboratory_code>/new/<str:analyte>/", laboratories.new_range, name="new_range"),
    path(
        "laboratories/<str:laboratory_code>/ranges/<int:range_id>/",
        laboratories.change_range,
        name="change_range",
    ),
    path(
        "laboratories/<str:laboratory_code>/ranges/<int:range_id>/void/",
        laboratories.void_range,
        name="void_range",
    ),
    path("patients/<str:subject_id>/grades/", grades.grades, name="grades"),
    path("patients/<str:subject_id>/grades/<int:result_id>/", grades.grade, name="grade"),
    path("patients/<str:subject_id>/labs/", labs.labs, name="labs"),
    path("patients/<str:subject_id>/history/", history.history, name="history"),
    path("patients/<str:subject_id>/eligibility/", screening.eligibility_of, name="eligibility"),
    path("patients/<str:subject_id>/screening/", screening.screen, name="screen"),
    path("patients/<str:subject_id>/screening/verdict/", screening.verdict, name="verdict"),
    path("patients/<str:subject_id>/enrol/", screening.enrol, name="enrol"),
    path("patients/<str:subject_id>/outcomes/", outcome.outcomes, name="outcomes"),
    path("patients/<str:subject_id>/outcomes/<int:outcome_id>/void/", outcome.void, name="void_outcome"),
    path("patients/<str:subject_id>/events/", events.events, name="events"),
    path("patients/<str:subject_id>/events/new/", events.new_event, name="new_event"),
    path("patients/<str:subject_id>/events/grades/", events.event_grades, name="event_grades"),
    path("patients/<str:subject_id>/events/<int:event_id>/", events.edit_event, name="edit_event"),
    path("patients/<str:subject_id>/events/<int:event_id>/void/", events.void_event, name="void_event"),
    path(
        "patients/<str:subject_id>/events/<int:event_id>/reported/", events.report_event, name="report_event"
    ),
    path("patients/<str:subject_id>/treatments/new/", events.new_treatment, name="new_treatment"),
    path(
        "patients/<str:subject_id>/treatments/<int:treatment_id>/",
        events.edit_treatment,
        name="edit_treatment",
    ),
    path(
        "patients/<str:subject_id>/treatments/<int:treatment_id>/void/",
        events.void_treatment,
        name="void_treatment",
    ),
    path("patients/<str:subject_id>/visits/<int:week>/", visit.enter_visit, name="enter_visit"),
    path("patients/<str:subject_id>/visits/<int:week>/missed/", missed.mark_missed, name="mark_missed"),
    path("patients/<str:subject_id>/visits/<int:week>/not-done/", visit.mark_not_done, name="mark_not_done"),
    path("patients/<str:subject_id>/visits/new/", visit.enter_unscheduled, name="enter_unscheduled"),
    path("patients/<str:subject_id>/visits/<int:visit_id>/void/", labs.void_visit, name="void_visit"),
    path("patients/<str:subject_id>/draws/<int:visit_id>/", visit.edit_unscheduled, name="edit_unscheduled"),
    path("patients/<str:subject_id>/verify/", verifying.verify_records, name="verify"),
    path("patients/<str:subject_id>/signatures/", signing.signatures, name="signatures"),
    path("patients/<str:subject_id>/sign/", signing.sign_records, name="sign"),
    path("patients/<str:subject_id>/lock/", locking.lock_records, name="lock"),
    path("sites/", locking.sites, name="sites"),
    path("sites/<str:site_code>/freeze/", locking.freeze, name="freeze"),
]
