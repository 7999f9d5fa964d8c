"""Two reference ranges of a laboratory never hold for one result."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("patients", "0009_locks"), ("trial", "0010_refuse_overlap")]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name="referencerange",
            trigger=pgtrigger.compiler.Trigger(
                name="refuse_overlap",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (NEW.voided_at IS NULL)",
                    execute="trial_refuse_overlap()",
                    func="RETURN NULL;",
                    hash="4dcc2b6b745c78c0a0c30ef52cbdbdeb0f6ab73d",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_refuse_overlap_fb933",
                    table="patients_referencerange",
                    when="AFTER",
                ),
            ),
        ),
    ]
