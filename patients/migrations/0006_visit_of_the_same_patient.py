"""A query's and a signature's patient is their visit's patient: foreign keys over both columns say so."""

from django.db import migrations

TABLES = ("dataquery", "signature")


def add(table: str) -> str:
    return (
        f"ALTER TABLE patients_{table} ADD CONSTRAINT {table}_belongs_to_the_patient_of_its_visit"
        " FOREIGN KEY (visit_id, patient_id) REFERENCES patients_visit (id, patient_id)"
        " DEFERRABLE INITIALLY DEFERRED"
    )


def drop(table: str) -> str:
    return f"ALTER TABLE patients_{table} DROP CONSTRAINT {table}_belongs_to_the_patient_of_its_visit"


class Migration(migrations.Migration):
    dependencies = [("patients", "0005_the_wards_day")]

    operations = [migrations.RunSQL(add(table), drop(table)) for table in TABLES]
