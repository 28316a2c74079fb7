"""Snipe-IT, from its official image with the certificates of Amazon RDS (see Dockerfile)."""

from generator.workloads import (
    DatabasePassword,
    DatabaseUsername,
    Fact,
    Generated,
    HealthCheck,
    WebService,
)

WORKLOADS = (
    WebService(
        "Snipeit",
        paths=("/*",),
        priority=900,
        one_task=True,
        variables={
            "APP_ENV": "production",
            "APP_DEBUG": "false",
            "APP_URL": Fact.SITE_URL,
            "APP_TIMEZONE": "UTC",
            "APP_LOCALE": "en-US",
            "APP_TRUSTED_PROXIES": "*",
            "APP_FORCE_TLS": "true",
            "SECURE_COOKIES": "true",
            "DB_CONNECTION": "mysql",
            "DB_HOST": Fact.DATABASE_HOST,
            "DB_PORT": Fact.DATABASE_PORT,
            "DB_DATABASE": Fact.DATABASE_NAME,
            "DB_PREFIX": "null",
            "DB_CHARSET": "utf8mb4",
            "DB_COLLATION": "utf8mb4_unicode_ci",
            "DB_SSL": "true",
            "DB_SSL_IS_PAAS": "true",
            "DB_SSL_CA_PATH": "/rds.pem",
            "SESSION_DRIVER": "database",
            "CACHE_DRIVER": "file",
            "QUEUE_DRIVER": "sync",
            "LOG_CHANNEL": "stderr",
            # Mail is written to the log, because this example has no mail server.
            "MAIL_MAILER": "log",
            "MAIL_DRIVER": "log",
            "MAIL_FROM_ADDR": "assets@example.com",
            "MAIL_FROM_NAME": "Snipe-IT",
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
        writable_paths=("/tmp", "/var/lib/snipeit"),
        health_check=HealthCheck(path="/health", grace_seconds=300),
    ),
)
