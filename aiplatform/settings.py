"""Every setting, from the environment alone. README.md and .env.example list the variables."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from django.urls import reverse_lazy

from aiplatform import looks
from apps.lib.environment import EnvironmentInvalidError, read_environment
from apps.lib.logs import configure_logs
from apps.lib.sealing import read_keys

BASE_DIR = Path(__file__).resolve().parent.parent
AIPLATFORM_HOME = Path(os.environ.get("AIPLATFORM_HOME") or BASE_DIR / ".aiplatform").resolve()

try:
    env = read_environment(AIPLATFORM_HOME)
except EnvironmentInvalidError as error:
    raise ImproperlyConfigured(str(error)) from error

# --- the core ---------------------------------------------------------------------------------------------------

DEBUG = False
# Which part of the platform this process is: web, exec, exec-interactive, ingest, control, beat, flower, or a command;
# "stack" is the supervisor, which makes the secrets of the others and keeps nothing itself.
ROLE = env.text("AIPLATFORM_ROLE", "command")
# With neither a database nor a stack nothing is kept, so a key made on the spot does no harm (checks, migrations).
SECRET_KEY = env.text("SECRET_KEY", None if env.is_set("DATABASE_URL") and ROLE != "stack" else get_random_secret_key())
# Other keys that hold besides it, while one takes the place of another: docs/rotating-secrets.md.
SECRET_KEY_FALLBACKS = env.listed("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
ROOT_URLCONF = "aiplatform.urls"
ASGI_APPLICATION = "aiplatform.asgi.application"
WSGI_APPLICATION = "aiplatform.wsgi.application"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["aiplatform.formats"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = reverse_lazy("admin:login")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "aiplatform.admin.BackOfficeConfig",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_celery_results",
    "django_otp",
    "axes",
    *("apps.ops", "apps.jobs", "apps.prompts", "apps.knowledge", "apps.conversations", "apps.providers", "apps.spend", "apps.traces"),
    *("apps.webhooks", "apps.files", "apps.accounts"),
]

MIDDLEWARE = [
    "apps.lib.request_ids.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "aiplatform.at_once.ContentPolicy",
    "apps.ops.middleware.BackOfficePolicy",
    "aiplatform.at_once.Sessions",
    "aiplatform.at_once.Common",
    "django.middleware.csrf.CsrfViewMiddleware",
    "aiplatform.at_once.Authentication",
    "django_otp.middleware.OTPMiddleware",
    "apps.accounts.middleware.ActingMiddleware",
    "apps.accounts.middleware.OnceMiddleware",
    "aiplatform.at_once.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Few files of the theme, mended.
        "DIRS": [BASE_DIR / "aiplatform" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Postgres, Redis, storage -----------------------------------------------------------------------------------


def _database(url: str, pool_size: int) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        msg = "DATABASE_URL must look like postgresql://user:password@host:5432/name."
        raise ImproperlyConfigured(msg)
    options: dict[str, object] = {"connect_timeout": 5, "application_name": ROLE}
    if pool_size:
        # One size: a pool that grows under load was measured five times slower than one that is full from the start.
        # It gives up on a Postgres that is down after seconds: the next request tries anew, where a long wait doubles with each try.
        options["pool"] = {"min_size": pool_size, "max_size": pool_size, "timeout": 10, "reconnect_timeout": 5}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or 5432,
        "CONN_MAX_AGE": 0 if pool_size else 600,
        "CONN_HEALTH_CHECKS": not pool_size,
        "OPTIONS": options,
    }


DATABASES = {
    "default": _database(
        env.text("DATABASE_URL", "postgresql://none@127.0.0.1:1/none"), env.whole("DATABASE_POOL", 8 if ROLE == "web" else 0)
    )
}
REDIS_URL = env.text("REDIS_URL", "redis://127.0.0.1:1/0")

STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": env.text("AIPLATFORM_STORAGE", str(AIPLATFORM_HOME / "files"))},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT", str(AIPLATFORM_HOME / "static"))

# --- secrets and the edge ---------------------------------------------------------------------------------------

ENCRYPTION_KEYS = read_keys(env.listed("AIPLATFORM_ENCRYPTION_KEYS"))

# Behind a proxy that ends TLS set AIPLATFORM_HTTPS=true; on loopback without TLS a secure cookie would lock everybody out.
HTTPS = env.flag("AIPLATFORM_HTTPS")
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
# No script of ours reads it: each form carries its token.
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 8 * 3600
SESSION_ENGINE = "apps.lib.sessions"
# After five wrong passwords nobody signs in under that name from that address for a quarter of an hour.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "apps.accounts.views.sign_in.counted_address"
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "apps.accounts.views.sign_in.locked_out"
# The audit log has what matters; tables that strangers fill by trying are not kept.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# So many wrong passwords may come from one address at once, under whatever names, and as many an hour; 0: no limit.
WRONG_PASSWORDS_PER_HOUR = env.whole("AIPLATFORM_WRONG_PASSWORDS_PER_HOUR", 60)
# Who signs in to the back office may have a second factor, or must.
SECOND_FACTOR = env.choice("AIPLATFORM_SECOND_FACTOR", "optional", ("optional", "required"))
# Where the back office is, and from which networks it is there at all; none: from everywhere.
OTHER_FOLDERS = ("api", "healthz", "metrics", "readyz", "static", "v1")
ADMIN_PATH = env.folder("AIPLATFORM_ADMIN_PATH", "admin", taken=OTHER_FOLDERS)
ADMIN_ADDRESSES = env.networks("AIPLATFORM_ADMIN_ADDRESSES")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
CONTENT_SECURITY_POLICY = looks.BROWSER_POLICY

# --- HTTP APIs --------------------------------------------------------------------------------------------------

MAX_FILE_BYTES = env.whole("AIPLATFORM_MAX_FILE_BYTES", 512 * 1024 * 1024, at_least=1)
MAX_LINE_BYTES = env.whole("AIPLATFORM_MAX_LINE_BYTES", 4 * 1024 * 1024, at_least=1)
MAX_LINES = env.whole("AIPLATFORM_MAX_LINES", 1_000_000, at_least=1)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_LINE_BYTES
FILE_UPLOAD_TEMP_DIR = Path(env.text("AIPLATFORM_STORAGE", str(AIPLATFORM_HOME / "files"))) / "incoming"
FILE_UPLOAD_HANDLERS = ["apps.lib.spooled_uploads.SpooledUploadHandler"]
# Per API key, and per address for refused ones; streams of events, at one web process. 0: no limit. Single calls are bounded by what their
# providers take, not by this.
API_READS_PER_MINUTE = env.whole("AIPLATFORM_API_READS_PER_MINUTE", 3000)
API_WRITES_PER_MINUTE = env.whole("AIPLATFORM_API_WRITES_PER_MINUTE", 1200)
API_OPEN_STREAMS = env.whole("AIPLATFORM_API_OPEN_STREAMS", 100)
REFUSED_KEYS_PER_MINUTE = env.whole("AIPLATFORM_REFUSED_KEYS_PER_MINUTE", 120)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.accounts.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["apps.lib.throttling.KeyThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.lib.json_bodies.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "aiplatform.openapi.views.ScopedSchema",
    "EXCEPTION_HANDLER": "apps.lib.http_errors.answer_exception",
}

SPECTACULAR_SETTINGS = looks.API_DOCS

# --- what is forgotten, and when; a workspace may have other numbers ------------------------------------------------

KEEP_BODIES_DAYS = env.whole("AIPLATFORM_KEEP_BODIES_DAYS", 30, at_least=1)
KEEP_RUNS_DAYS = env.whole("AIPLATFORM_KEEP_RUNS_DAYS", 180, at_least=1)
KEEP_ITEMS_DAYS = env.whole("AIPLATFORM_KEEP_ITEMS_DAYS", 90, at_least=1)
# Batch files and results; 0: until somebody deletes them.
KEEP_FILES_DAYS = env.whole("AIPLATFORM_KEEP_FILES_DAYS", 30)

# --- the engine (design: the pump) ------------------------------------------------------------------------------

JOBS_MAX_IN_FLIGHT = env.whole("JOBS_MAX_IN_FLIGHT", 500, at_least=1)
JOBS_PUMP_SECONDS = env.seconds("JOBS_PUMP_SECONDS", 600)
JOBS_PUMPS_PER_HOST = env.whole("JOBS_PUMPS_PER_HOST", os.cpu_count() or 1, at_least=1)
JOBS_LEASE_SECONDS = env.seconds("JOBS_LEASE_SECONDS", 60)
JOBS_RENEW_SECONDS = env.seconds("JOBS_RENEW_SECONDS", 15)
JOBS_SWEEP_SECONDS = env.seconds("JOBS_SWEEP_SECONDS", 10)
JOBS_IDLE_SECONDS = env.seconds("JOBS_IDLE_SECONDS", 1)
# How long a worker that was told to stop waits for the calls in the air; keep it below what its supervisor grants.
JOBS_DRAIN_SECONDS = env.seconds("JOBS_DRAIN_SECONDS", 900)
# How long after a start of Postgres nothing is taken for lost: pumps could not renew while it was down.
JOBS_OUTAGE_SECONDS = env.seconds("JOBS_OUTAGE_SECONDS", 30)
JOBS_MAX_ATTEMPTS = env.whole("JOBS_MAX_ATTEMPTS", 5, at_least=1)
# How many failed tries at a target that does nothing but fail cost an item of a batch no attempt: 20 last seven to nine minutes.
JOBS_MAX_OUTAGE_TRIES = env.whole("JOBS_MAX_OUTAGE_TRIES", 20)
JOBS_RETRY_BASE_SECONDS = env.seconds("JOBS_RETRY_BASE_SECONDS", 2)
JOBS_RETRY_CAP_SECONDS = env.seconds("JOBS_RETRY_CAP_SECONDS", 300)
# Modules of the operator's own that offer tools to models (docs/tools.md); importable by web processes and workers alike.
AIPLATFORM_TOOLS = env.listed("AIPLATFORM_TOOLS")
PROVIDERS_MAX_ANSWER_BYTES = env.whole("PROVIDERS_MAX_ANSWER_BYTES", 16 * 1024 * 1024, at_least=1)
# How long an answer is kept when a job asks for the cache without saying how long, and the longest that one may ask for.
PROVIDERS_CACHE_SECONDS = env.whole("PROVIDERS_CACHE_SECONDS", 24 * 3600, at_least=1)
PROVIDERS_CACHE_MAX_SECONDS = env.whole("PROVIDERS_CACHE_MAX_SECONDS", 30 * 24 * 3600, at_least=1)
# A call of a model without a price: "flag" charges nothing, counts it and shows it; "refuse" takes no such work and sends no such call.
SPEND_WITHOUT_PRICE = env.choice("SPEND_WITHOUT_PRICE", "flag", ("flag", "refuse"))
PROVIDERS_RELOAD_SECONDS = env.seconds("PROVIDERS_RELOAD_SECONDS", 2)

# How long a document's reader may be silent before somebody else reads it.
DOCUMENTS_LEASE_SECONDS = env.seconds("DOCUMENTS_LEASE_SECONDS", 60)

# --- webhooks ---------------------------------------------------------------------------------------------------

WEBHOOKS_PORTS = env.ports("WEBHOOKS_PORTS", "443,8443")
# Networks of the operator's own in which receivers may be, besides the public internet; and whether plain http will do.
WEBHOOKS_PRIVATE_NETWORKS = env.networks("WEBHOOKS_PRIVATE_NETWORKS")
WEBHOOKS_HTTP = env.flag("WEBHOOKS_HTTP")

# --- taking work in -----------------------------------------------------------------------------------------------

# New work for a lane is refused while its oldest ready item has waited for longer (it would not be done within its day, or its caller
# would be gone), or while more items than this wait in all; people are alerted at half of the time. 0 items: no limit.
INTAKE_OLDEST_SECONDS = {
    "bulk": env.seconds("INTAKE_OLDEST_BULK_SECONDS", 18 * 3600),
    "default": env.seconds("INTAKE_OLDEST_DEFAULT_SECONDS", 21 * 3600),
    "interactive": env.seconds("INTAKE_OLDEST_INTERACTIVE_SECONDS", 300),
}
INTAKE_MAX_WAITING = env.whole("INTAKE_MAX_WAITING", 20_000_000)
# Uploads and bulk work are refused while the file store has less left; default work at half of it, interactive at a quarter.
FILES_MIN_FREE_BYTES = env.whole("FILES_MIN_FREE_BYTES", 512 * 1024 * 1024)

# --- runaways (docs/budgets.md) ---------------------------------------------------------------------------------

_USUAL = {"times": 3, "deviations": 6, "least_calls": 100, "least_tokens": 100_000, "least_usd": 1, "least_days": 14}
RUNAWAY = {name: env.number(f"RUNAWAY_{name.upper()}", usual) for name, usual in _USUAL.items()}
# What is paused by itself when it runs away: feature, api_key, both, or (by default) nothing.
RUNAWAY_PAUSES = env.each_of("RUNAWAY_PAUSES", ("feature", "api_key"))

# --- e-mail: alerts to the owners of a workspace, and to superusers; nothing without a server ---------------------

MAIL_SERVER = env.mail_server("EMAIL_URL")
MAIL_FROM = env.address("EMAIL_FROM", "aiplatform <aiplatform@localhost>")
# Where people reach the back office, for the links in mails.
SITE_URL = env.site("AIPLATFORM_URL", f"http://127.0.0.1:{env.whole('AIPLATFORM_PORT', 8000)}")

FLOWER_URL = env.text("AIPLATFORM_FLOWER_URL", f"http://127.0.0.1:{env.whole('AIPLATFORM_FLOWER_PORT', 5555)}/flower/")

# --- logs and the look of the back office -----------------------------------------------------------------------

LOGGING = configure_logs(env.text("LOG_LEVEL", "INFO"), secrets=env.secrets())

UNFOLD = looks.BACK_OFFICE
