"""Install the functions of the trail again: those of locks leave at once while nothing is locked."""

from django.db import migrations

from trial.trail_functions import create_statements

INSTALLS = "ef82266715d63022"


class Migration(migrations.Migration):
    dependencies = [("trial", "0011_merge_moves_rows")]

    operations = [migrations.RunSQL(create_statements(), migrations.RunSQL.noop)]
