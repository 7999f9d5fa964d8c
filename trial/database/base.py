"""Connections to the embedded server: asking for the first one starts it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import OperationalError
from django.db.backends.postgresql import base, client
from psycopg import OperationalError as DriverError

from trial import embedded


def _hold(*, check: bool = False) -> None:
    try:
        embedded.hold(settings.DATA_DIR, check=check)
    except embedded.ServerError as error:
        raise OperationalError(str(error)) from error


class DatabaseClient(client.DatabaseClient):
    """``manage.py dbshell``: the server must run before the shell connects."""

    def runshell(self, parameters: Any) -> None:
        _hold()
        super().runshell(parameters)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that knows how to bring its server up."""

    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        # here, not in connect(): pools and listeners of their own ask for the parameters too
        _hold()
        return super().get_connection_params()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            return super().get_new_connection(conn_params)
        except DriverError:
            _hold(check=True)  # somebody killed it since this process started it
            return super().get_new_connection(conn_params)
