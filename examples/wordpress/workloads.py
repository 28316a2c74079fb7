"""WordPress, from its official image with Apache."""

from generator.workloads import (
    DatabasePassword,
    DatabaseUsername,
    Fact,
    Generated,
    HealthCheck,
    Mount,
    Volume,
    WebService,
)

# PHP that the image's wp-config.php executes: TLS to the database, and the scheme without a domain.
CONFIG_EXTRA = """
define('MYSQL_CLIENT_FLAGS', MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT);
if (($_SERVER['HTTP_CLOUDFRONT_FORWARDED_PROTO'] ?? '') === 'https') { $_SERVER['HTTPS'] = 'on'; }
define('DISALLOW_FILE_MODS', true);
"""
SALTS = [
    f"WORDPRESS_{name}_{part}" for name in ("AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE") for part in ("KEY", "SALT")
]

# www-data, as which Apache serves.
STORES = (Volume("Media", owner="33:33"),)
WORKLOADS = (
    WebService(
        "Wordpress",
        paths=("/*",),
        priority=900,
        variables={
            "WORDPRESS_DB_HOST": Fact.DATABASE_HOST,
            "WORDPRESS_DB_NAME": Fact.DATABASE_NAME,
            "WORDPRESS_CONFIG_EXTRA": CONFIG_EXTRA,
        },
        secrets={
            "WORDPRESS_DB_USER": DatabaseUsername(),
            "WORDPRESS_DB_PASSWORD": DatabasePassword(),
            **{name: Generated(64) for name in SALTS},
        },
        port=80,
        user="0:0",
        read_only=False,
        writable_paths=("/tmp", "/var/www/html"),
        uses=(Mount("Media", "/var/www/html/wp-content/uploads"),),
        health_check=HealthCheck(path="/wp-includes/images/blank.gif", codes="200"),
    ),
)
