"""BookStack, from the image of LinuxServer.io with the certificates of Amazon RDS (see Dockerfile)."""

from generator.workloads import DatabasePassword, DatabaseUsername, Fact, Generated, HealthCheck, WebService

WORKLOADS = (
    WebService(
        "Bookstack",
        paths=("/*",),
        priority=900,
        one_task=True,
        variables={
            "APP_URL": Fact.SITE_URL,
            "APP_PROXIES": "*",
            "DB_HOST": Fact.DATABASE_HOST,
            "DB_PORT": Fact.DATABASE_PORT,
            "DB_DATABASE": Fact.DATABASE_NAME,
            "MYSQL_ATTR_SSL_CA": "/rds.pem",
            "PUID": "1000",
            "PGID": "1000",
            "TZ": "Etc/UTC",
        },
        secrets={
            "DB_USERNAME": DatabaseUsername(),
            "DB_PASSWORD": DatabasePassword(),
            # Laravel takes a key of 32 characters as it is.
            "APP_KEY": Generated(32),
        },
        port=80,
        user="0:0",
        read_only=False,
        writable_paths=("/tmp", "/config"),
        health_check=HealthCheck(path="/status", codes="200", grace_seconds=180),
    ),
)
