# One image for every role; the command decides which (docker-compose.yml).
FROM python:3.11-slim-bookworm AS packages
WORKDIR /app
COPY requirements.lock ./
# The lock is complete, so nothing else may be pulled in.
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements.lock

FROM python:3.11-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=aiplatform.settings \
    AIPLATFORM_HOME=/data STATIC_ROOT=/data/static AIPLATFORM_STORAGE=/data/files
RUN useradd --system --uid 10001 --create-home aiplatform && install -d -o aiplatform -g aiplatform /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py flowerconfig.py ./
COPY aiplatform ./aiplatform
COPY apps ./apps
RUN python -m compileall -q aiplatform apps
USER aiplatform
VOLUME /data
EXPOSE 8000
# SIGTERM asks every role to finish what it has in the air.
STOPSIGNAL SIGTERM
CMD ["uvicorn", "aiplatform.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--h11-max-incomplete-event-size", "65536", "--timeout-graceful-shutdown", "45", "--no-access-log", "--no-server-header", "--log-config", "aiplatform/uvicorn-log.json"]
