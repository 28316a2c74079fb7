"""Spring PetClinic, as an image of its jar (see Dockerfile)."""

from generator.workloads import DatabasePassword, DatabaseUsername, Fact, HealthCheck, Text, WebService

WORKLOADS = (
    WebService(
        "Petclinic",
        paths=("/*",),
        priority=900,
        variables={
            "SPRING_PROFILES_ACTIVE": "mysql",
            "MYSQL_URL": Text(
                "jdbc:mysql://",
                Fact.DATABASE_HOST,
                ":",
                Fact.DATABASE_PORT,
                "/",
                Fact.DATABASE_NAME,
                "?sslMode=REQUIRED",
            ),
            # The scheme of the viewer, with and without a domain.
            "SERVER_TOMCAT_REMOTEIP_PROTOCOLHEADER": "CloudFront-Forwarded-Proto",
            "SERVER_PORT": Fact.PORT,
        },
        secrets={"MYSQL_USER": DatabaseUsername(), "MYSQL_PASS": DatabasePassword()},
        health_check=HealthCheck(path="/actuator/health", codes="200", grace_seconds=120),
    ),
)
