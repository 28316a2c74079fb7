"""Settings and entry points of the site."""

import pymysql

pymysql.install_as_MySQLdb()
