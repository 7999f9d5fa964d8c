from django.apps import AppConfig
from django.core import checks


class TrialConfig(AppConfig):
    name = "trial"

    def ready(self) -> None:
        from trial import checks as trail_checks  # noqa: F401  registers itself
        from trial import database_roles

        checks.register(database_roles.check_two_roles, deploy=True)
