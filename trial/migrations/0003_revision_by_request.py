from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("trial", "0002_service_account"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="revision",
            index=models.Index(
                condition=models.Q(("request_id", ""), _negated=True),
                fields=["request_id"],
                name="revision_by_request",
            ),
        ),
    ]
