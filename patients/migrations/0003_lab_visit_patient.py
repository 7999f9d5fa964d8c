"""A lab result's patient is its visit's patient: a foreign key over both columns says so."""

from django.db import migrations

ADD = """
ALTER TABLE patients_labresult ADD CONSTRAINT lab_result_belongs_to_the_patient_of_its_visit
    FOREIGN KEY (visit_id, patient_id) REFERENCES patients_visit (id, patient_id) DEFERRABLE INITIALLY DEFERRED
"""
DROP = "ALTER TABLE patients_labresult DROP CONSTRAINT lab_result_belongs_to_the_patient_of_its_visit"


class Migration(migrations.Migration):
    dependencies = [("patients", "0002_initial")]

    operations = [migrations.RunSQL(ADD, DROP)]
