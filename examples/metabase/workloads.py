"""Metabase, from its official image, with its own tables in the database of the platform."""

from generator.waf_settings import Waf
from generator.workloads import DatabasePassword, DatabaseUsername, Edge, Fact, Generated, HealthCheck, Text, WebService

WORKLOADS = (
    WebService(
        "Metabase",
        paths=("/*",),
        priority=900,
        variables={
            "MB_DB_TYPE": "mysql",
            "MB_DB_CONNECTION_URI": Text(
                "jdbc:mysql://",
                Fact.DATABASE_HOST,
                ":",
                Fact.DATABASE_PORT,
                "/",
                Fact.DATABASE_NAME,
                "?useSSL=true&trustServerCertificate=true",
            ),
            "MB_SITE_URL": Fact.SITE_URL,
            "MB_PLUGINS_DIR": "/tmp/plugins",
            "JAVA_OPTS": "-XX:MaxRAMPercentage=70",
        },
        secrets={
            "MB_DB_USER": DatabaseUsername(),
            "MB_DB_PASS": DatabasePassword(),
            "MB_ENCRYPTION_SECRET_KEY": Generated(64),
        },
        port=3000,
        health_check=HealthCheck(path="/api/health", codes="200", grace_seconds=300),
    ),
)
# Queries in the bodies of requests look like SQL injection to the web ACL.
EDGE = Edge(waf=Waf(excluded_paths={"AWSManagedRulesSQLiRuleSet": ("/api/dataset*", "/api/card*")}))
