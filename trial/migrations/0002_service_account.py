"""The account under which the software itself writes: nobody can log in with it."""

from django.db import migrations

CREATE = """
SELECT set_config('cordline.actor', '1', true), set_config('cordline.source', 'migration', true);
INSERT INTO trial_user
    (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined, role)
VALUES (1, '!', false, 'cordline', 'Cordline', '', '', false, false, clock_timestamp(), '');
SELECT setval(pg_get_serial_sequence('trial_user', 'id'), 1);
SELECT set_config('cordline.actor', '', true), set_config('cordline.source', '', true);
"""


class Migration(migrations.Migration):
    dependencies = [("trial", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, migrations.RunSQL.noop)]
