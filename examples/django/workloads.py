"""A Django site: the web service. Copy this file and params/ into your project, then run `deploy.py generate`."""

from generator.workloads import PER_ENVIRONMENT, DatabasePassword, DatabaseUsername, Fact, Generated, WebService

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
    ),
)
