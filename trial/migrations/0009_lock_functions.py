"""Install the functions of the trail again, and those that keep what is locked."""

from django.db import migrations

from trial.trail_functions import create_statements

INSTALLS = "856d592adfa1f1fb"


class Migration(migrations.Migration):
    dependencies = [("trial", "0008_drafts_and_last_look")]

    operations = [migrations.RunSQL(create_statements(), migrations.RunSQL.noop)]
