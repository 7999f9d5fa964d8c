"""Django's PostgreSQL backend, with a server that starts when it is first needed."""
