"""Install the functions of the trail again: one more, for reference ranges that never overlap."""

from django.db import migrations

from trial.trail_functions import create_statements

INSTALLS = "01cbcd615b1620c8"


class Migration(migrations.Migration):
    dependencies = [("trial", "0009_lock_functions")]

    operations = [migrations.RunSQL(create_statements(), migrations.RunSQL.noop)]
