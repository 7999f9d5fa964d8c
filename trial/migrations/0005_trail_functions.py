"""Install the functions of the trail again: one pass for a change instead of two."""

from django.db import migrations

from trial.trail_functions import create_statements

INSTALLS = "7dff5835af90baa3"


class Migration(migrations.Migration):
    dependencies = [("trial", "0004_entry_by_revision")]

    operations = [migrations.RunSQL(create_statements(), migrations.RunSQL.noop)]
