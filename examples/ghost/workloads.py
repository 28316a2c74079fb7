"""Ghost 6, from its official image."""

from generator.workloads import (
    PER_ENVIRONMENT,
    DatabasePassword,
    DatabaseUsername,
    Fact,
    HealthCheck,
    Mount,
    Supplied,
    Volume,
    WebService,
)

STORES = (Volume("Content"),)
WORKLOADS = (
    WebService(
        "Ghost",
        paths=("/*",),
        priority=900,
        one_task=True,
        variables={
            "url": Fact.SITE_URL,
            "database__client": "mysql",
            "database__connection__host": Fact.DATABASE_HOST,
            "database__connection__port": Fact.DATABASE_PORT,
            "database__connection__database": Fact.DATABASE_NAME,
            "database__connection__ssl": "Amazon RDS",
            # Newsletters leave through the API of Mailgun, because HTTPS is open without a declaration.
            "bulkEmail__mailgun__baseUrl": "https://api.mailgun.net/v3",
            "bulkEmail__mailgun__domain": PER_ENVIRONMENT,
            # It would send a code by SMTP at each login from a new browser.
            "security__staffDeviceVerification": "false",
        },
        secrets={
            "database__connection__user": DatabaseUsername(),
            "database__connection__password": DatabasePassword(),
            "bulkEmail__mailgun__apiKey": Supplied(),
        },
        port=2368,
        user="1000:1000",
        uses=(Mount("Content", "/var/lib/ghost/content"),),
        health_check=HealthCheck(path="/ghost/api/admin/site/", grace_seconds=180),
    ),
)
