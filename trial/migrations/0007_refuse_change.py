"""Install the functions of the trail again: one more, for tables that are only added to."""

from django.db import migrations

from trial.trail_functions import create_statements

INSTALLS = "1b76d23315a3ce7b"


class Migration(migrations.Migration):
    dependencies = [("trial", "0006_frozen_site")]

    operations = [migrations.RunSQL(create_statements(), migrations.RunSQL.noop)]
