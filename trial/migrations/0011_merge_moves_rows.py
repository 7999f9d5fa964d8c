"""Install the functions of the trail again: a merge may move rows from one patient to another."""

from django.db import migrations

from trial.trail_functions import create_statements

INSTALLS = "2c23b9704d79054e"


class Migration(migrations.Migration):
    dependencies = [("trial", "0010_refuse_overlap")]

    operations = [migrations.RunSQL(create_statements(), migrations.RunSQL.noop)]
