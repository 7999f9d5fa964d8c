"""The worker's application. Tasks live on the floors above and are found by name."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trial.settings")

app = Celery("cordline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
