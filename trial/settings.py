"""Settings, by environment. The only file that reads it.

Nothing set: development on the embedded PostgreSQL under ``.data/``.
``CORDLINE_PRODUCTION=1``: refuses to start without a secret key, hosts, a
database and a broker.
"""

from __future__ import annotations

import sys
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from trial import embedded

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

TESTING = "pytest" in sys.modules
PRODUCTION = env.bool("CORDLINE_PRODUCTION", default=False)
DATA_DIR = Path(env.str("CORDLINE_DATA", default=str(BASE_DIR / ".data"))).absolute()
CODE_VERSION = env.str("CORDLINE_CODE_VERSION", default="0.1.0")
SYNTHETIC = env.bool("CORDLINE_SYNTHETIC", default=not PRODUCTION)

DEBUG = env.bool("DEBUG", default=False)
FAILPOINT = env.str("CORDLINE_FAILPOINT", default="")


def required(name: str) -> str:
    """Return a setting that production cannot do without."""
    value = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set; production does not start without it")
    return str(value)


# --- what identifies this installation ------------------------------------------------------

if PRODUCTION:
    if DEBUG:
        raise ImproperlyConfigured(
            "DEBUG shows patients' data to whoever meets an error; production refuses it"
        )
    SECRET_KEY = required("SECRET_KEY")
    ALLOWED_HOSTS = [host.strip() for host in required("ALLOWED_HOSTS").split(",")]
    if "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS names the hosts; production does not answer to every name")
    CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS]
else:
    SECRET_KEY = embedded.secret_key(DATA_DIR)
    ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]

# --- database -------------------------------------------------------------------------------

if PRODUCTION:
    required("DATABASE_URL")
_url = env.str("DATABASE_URL", default="")
EMBEDDED = not _url
if EMBEDDED:
    # tests empty tables behind themselves, which the trail lets nobody else do
    _name = {"NAME": env.str("CORDLINE_DATABASE", default=embedded.DATABASE)}
    _app = embedded.connection(DATA_DIR, role="superuser" if TESTING else "app") | _name
    _owner = embedded.connection(DATA_DIR, role="superuser" if TESTING else "owner") | _name
else:
    _app = env.db_url_config(_url)
    _owner = env.db_url_config(env.str("DATABASE_OWNER_URL", default=_url))

# compiling a query pays after seconds of running; here it only delays short ones with a large estimate
_LIMITS = "-c lock_timeout=10s -c idle_in_transaction_session_timeout=120s -c timezone=UTC -c jit=off"
DATABASES = {
    alias: {
        **configuration,
        "ENGINE": "trial.database" if EMBEDDED else "django.db.backends.postgresql",
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **configuration.get("OPTIONS", {}),
            "options": f"{_LIMITS} -c statement_timeout={longest}",
            "connect_timeout": 5,
        },
    }
    for alias, configuration, longest in (("default", _app, "300s"), ("owner", _owner, "0"))
}
DATABASES["owner"]["TEST"] = {"MIRROR": "default"}
if env.bool("CORDLINE_POOL", default=False):
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 8, "timeout": 5}
DATABASE_ROUTERS: list[str] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- what runs ------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin",
    "pgtrigger",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "axes",
    "csp",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_htmx",
    "django_filters",
    "trial",
    "patients",
    "infusions",
    "analytics",
]
MIDDLEWARE = [
    # the first four only add headers: outermost, so that no answer lacks them
    "trial.middleware.headers_on_every_answer",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "trial.middleware.keep_private",
    "trial.middleware.answer_programs",
    "trial.middleware.refuse_other_methods",
    "trial.middleware.refuse_unreadable_text",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    # knows whose the session was that the next one may end
    "trial.middleware.keep_what_is_typed",
    "trial.middleware.end_idle_sessions",
    "trial.middleware.follow_what_moved",
    "trial.middleware.say_what_is_not_offered",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "trial.urls"
WSGI_APPLICATION = "trial.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "trial.context.page",
            ],
        },
    },
]

# --- people ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "trial.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "CommonPasswordValidator", "NumericPasswordValidator")
] + [
    {
        "NAME": "trial.passwords.LongEnough",
        "OPTIONS": {"min_length": 12},
    }
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "patients:today"
ACCOUNT_ADAPTER = "trial.accounts.ClosedAccounts"
ACCOUNT_FORMS = {"change_password": "trial.account_forms.OwnPasswordForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PREVENT_ENUMERATION = True
MFA_ADAPTER = "trial.accounts.CodesOfAnApp"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Cordline"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
# not the address as well: behind one of a hospital's, one forgotten password would keep everybody out
AXES_LOCKOUT_PARAMETERS = ["username"]
SILENCED_SYSTEM_CHECKS = ["axes.W006"]  # wants the address; without it all attempts at an account count
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_CALLABLE = "trial.accounts.typed_username"
AXES_LOCKOUT_TEMPLATE = "429.html"
AXES_VERBOSE = False

SESSION_COOKIE_AGE = 12 * 3600
SESSION_IDLE_SECONDS = 15 * 60
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^health/"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    ALLAUTH_TRUSTED_PROXY_COUNT = AXES_IPWARE_PROXY_COUNT = env.int("NUM_PROXIES", default=1)
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20
LARGEST_UPLOAD = 50 * 2**20

# --- language and time ----------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "trial" / "locale"]
USE_I18N = USE_TZ = True
USE_THOUSAND_SEPARATOR = False
TIME_ZONE = "Asia/Shanghai"
FORMAT_MODULE_PATH = "trial.formats"

# --- static files ---------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "trial.distributions.DistributionFinder",
]
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = DATA_DIR / "never-used"
JOB_FILES = Path(env.str("CORDLINE_JOB_FILES", default=str(DATA_DIR / "jobs")))
CRISPY_ALLOWED_TEMPLATE_PACKS = CRISPY_TEMPLATE_PACK = "bootstrap5"

# --- the worker -----------------------------------------------------------------------------

CELERY_BROKER_URL = (
    required("REDIS_URL") if PRODUCTION else env.str("REDIS_URL", default="memory://localhost")
)
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"polling_interval": 0.01} if CELERY_BROKER_URL.startswith("memory") else {"visibility_timeout": 7200}
)
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 1800
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
STUCK_SECONDS = env.float("CORDLINE_STUCK_SECONDS", default=10.0)  # how long a message may lead to nothing

# --- logs: never a patient's data -----------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "trial.logs.Discreet" if PRODUCTION else "logging.Formatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="WARNING")},
    "loggers": {
        # a refused address or form is an answer, not an event
        **{name: {"level": "ERROR"} for name in ("django.request", "gunicorn.http.wsgi")},
        # quotes the error in its message; jobs and refreshes record their own failures
        **({"celery.app.trace": {"level": "CRITICAL"}} if PRODUCTION else {}),
    },
}
