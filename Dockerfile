# One image; web, worker and migration differ only in their command.
FROM python:3.11-slim-bookworm AS environment
COPY requirements.txt /
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --require-hashes --no-deps -r /requirements.txt

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends fonts-noto-cjk \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /nonexistent cordline \
    && install -d -o cordline -g cordline -m 0700 /data
COPY --from=environment /opt/venv /opt/venv
WORKDIR /app
COPY manage.py LICENSE ./
COPY trial trial
COPY patients patients
COPY infusions infusions
COPY analytics analytics
COPY templates templates
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp \
    CORDLINE_PRODUCTION=1 \
    CORDLINE_DATA=/data
# the values are needed to start and used by nothing that this command does
RUN SECRET_KEY=unused ALLOWED_HOSTS=unused DATABASE_URL=postgres://unused/unused REDIS_URL=redis://unused \
    python manage.py collectstatic --no-input --verbosity 0 \
    && python -m compileall -q .
USER cordline
VOLUME /data
EXPOSE 8000
CMD ["sh", "-c", "exec gunicorn trial.wsgi:application --bind 0.0.0.0:8000 --workers ${WEB_WORKERS:-2} --threads 8 --worker-tmp-dir /dev/shm --no-control-socket --log-level warning"]
