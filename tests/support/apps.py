"""Real applications, as they are installed on this machine, in place of their images."""

from __future__ import annotations

import shutil
from pathlib import Path

from hosting.local.container import LocalImage
from tests.support.programs import need, skip
from tests.support.project import REPOSITORY

DJANGO = REPOSITORY / "examples" / "django"
_ENVIRONMENT = REPOSITORY / ".venv-examples"
_PATH = "/usr/local/bin:/usr/bin:/bin"


def django() -> LocalImage:
    """Return the Django example with the packages of `.venv-examples`. The command is that of its Dockerfile."""
    if not (_ENVIRONMENT / "bin" / "uvicorn").exists():
        skip("the packages of the Django example are missing: make examples")
    environment = _ENVIRONMENT.resolve()
    return LocalImage(
        command=dockerfile_command(DJANGO / "Dockerfile"),
        working_directory="/app",
        user="10001:10001",
        folders={"/app": DJANGO / "app"},
        programs=(environment,),
        variables={"PATH": f"{environment}/bin:{_PATH}", "PYTHONUNBUFFERED": "1"},
    )


def dockerfile_command(file: Path) -> tuple[str, ...]:
    """Return the command that CMD in exec form declares."""
    import json

    line = next(line for line in file.read_text().splitlines() if line.startswith("CMD "))
    return tuple(json.loads(line.removeprefix("CMD ")))


# The variables of the official image's wp-config.php, which read WORDPRESS_CONFIG_EXTRA too.
_WP_CONFIG = """<?php
function setting($name, $default = '') {
    $value = getenv('WORDPRESS_' . $name);
    return $value === false ? $default : $value;
}
define('DB_HOST', setting('DB_HOST'));
define('DB_NAME', setting('DB_NAME'));
define('DB_USER', setting('DB_USER'));
define('DB_PASSWORD', setting('DB_PASSWORD'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (array('AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE') as $subject) {
    define($subject . '_KEY', setting($subject . '_KEY'));
    define($subject . '_SALT', setting($subject . '_SALT'));
}
$table_prefix = setting('TABLE_PREFIX', 'wp_');
if (strpos($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '', 'https') !== false) {
    $_SERVER['HTTPS'] = 'on';
}
eval(setting('CONFIG_EXTRA'));
defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""
# The rewriting rules of the official image's .htaccess: a path without a file belongs to WordPress.
_ROUTER = """<?php
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$file = __DIR__ . $path;
if ($path !== '/' && (is_file($file) || is_file($file . '/index.php'))) {
    return false;
}
require __DIR__ . '/index.php';
"""


def wordpress(folder: Path, port: int = 8080) -> LocalImage:
    """Return Debian's WordPress with PHP's own web server. ``folder`` gets its files."""
    need("php")
    source = Path("/usr/share/wordpress")
    if not source.is_dir():
        skip("WordPress is missing: apt-get install wordpress")
    files = folder / "wordpress"
    # The package links some files to others, of which an image has copies.
    shutil.copytree(source, files, ignore=shutil.ignore_patterns(".htaccess", "wp-config.php"))
    shutil.copytree("/var/lib/wordpress/wp-content", files / "wp-content", dirs_exist_ok=True)
    (files / "wp-config.php").write_text(_WP_CONFIG)
    (files / "router.php").write_text(_ROUTER)
    return LocalImage(
        command=("php", "-d", "variables_order=EGPCS", "-S", f"0.0.0.0:{port}", "-t", ".", "router.php"),
        working_directory="/var/www/html",
        folders={"/var/www/html": files},
        variables={"PATH": _PATH, "PHP_CLI_SERVER_WORKERS": "4"},
    )


def python() -> str:
    """Return the interpreter that has the packages of the Django example."""
    return str(_ENVIRONMENT / "bin" / "python")
