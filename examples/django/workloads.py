"""A Django site: web service, worker, nightly job and migration, all of one image."""

from generator.workloads import (
    PER_ENVIRONMENT,
    DatabasePassword,
    DatabaseUsername,
    Fact,
    Generated,
    Job,
    WebService,
    Worker,
)

WORKLOADS = (
    WebService(
        "Web",
        paths=("/*",),
        priority=900,
        variables={
            "DATABASE_HOST": Fact.DATABASE_HOST,
            "DATABASE_PORT": Fact.DATABASE_PORT,
            "DATABASE_NAME": Fact.DATABASE_NAME,
            "LOG_LEVEL": PER_ENVIRONMENT,
        },
        secrets={
            "DATABASE_USER": DatabaseUsername(),
            "DATABASE_PASSWORD": DatabasePassword(),
            "DJANGO_SECRET_KEY": Generated(64),
        },
        migrate=("python", "manage.py", "migrate", "--noinput"),
    ),
    Worker("Worker", like="Web", command=("python", "manage.py", "worker")),
    Job("Cleanup", like="Web", command=("python", "manage.py", "cleanup"), schedule="cron(0 18 * * ? *)"),
)
