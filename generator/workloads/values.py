"""Values of variables and secrets, as workloads.py declares them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from generator.declared_fields import check_types
from generator.errors import ConfigError


def parameter_part(variable: str) -> str:
    """Convert the name of a variable to a part of a parameter's name: ``LOG_LEVEL`` becomes ``LogLevel``."""
    words = re.findall(r"[A-Za-z0-9]+", variable)
    return "".join(word.capitalize() if word.isupper() else word[0].upper() + word[1:] for word in words)


class Fact(Enum):
    """A value that the platform knows. A workload receives it under any name, and no person types it."""

    DATABASE_HOST = "DatabaseHost"
    """Host of the writer of the database."""
    DATABASE_READER_HOST = "DatabaseReaderHost"
    """Host of the readers of the database, or of the writer while there is no reader."""
    DATABASE_PORT = "DatabasePort"
    DATABASE_NAME = "DatabaseName"
    """Name of the schema that the platform creates."""
    SITE_URL = "SiteUrl"
    """Address of the site, such as https://www.example.com, or that of CloudFront without a domain."""
    OWN_URL = "OwnUrl"
    """Address of the web service itself: that of its ``host``, or else of the site."""
    DOMAIN_NAME = "DomainName"
    """Domain of the site without a scheme. Empty without a domain."""
    PROJECT = "Project"
    ENVIRONMENT = "Environment"
    REGION = "Region"
    PORT = "Port"
    """Port of the workload itself."""


class _PerEnvironment(Enum):
    PER_ENVIRONMENT = "PER_ENVIRONMENT"


# A value that differs between environments: a line in each params/<env>.json.
PER_ENVIRONMENT = _PerEnvironment.PER_ENVIRONMENT
PerEnvironment = _PerEnvironment


@dataclass(frozen=True)
class AddressOf:
    """The host name of an internal service, which has to name this workload in its ``called_by``."""

    workload: str


@dataclass(frozen=True)
class StoreValue:
    """Base of the values that a store has. The workload has to declare a use of the store."""

    store: str


@dataclass(frozen=True)
class BucketName(StoreValue):
    """The name of a bucket of STORES."""


@dataclass(frozen=True)
class QueueUrl(StoreValue):
    """The URL of a queue of STORES."""


# What a text may contain beside strings.
Part = Fact | AddressOf | BucketName | QueueUrl


class Text:
    """A text with facts and addresses in it: ``Text("jdbc:mysql://", Fact.DATABASE_HOST, "/", Fact.DATABASE_NAME)``."""

    def __init__(self, *parts: str | Part) -> None:
        if not parts:
            raise ConfigError("Text() is empty")
        for part in parts:
            if not isinstance(part, (str, Part)):
                raise ConfigError(f"Text(...): {part!r} is neither a string nor a value such as a fact or an address")
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return f"Text({', '.join(map(repr, self.parts))})"


@dataclass(frozen=True)
class RootParameter:
    """The root parameter that a PER_ENVIRONMENT value became. workloads.py does not use it."""

    name: str


Variable = str | Part | Text | PerEnvironment | RootParameter


@dataclass(frozen=True)
class DatabaseUsername:
    """The user name in the secret of the database."""


@dataclass(frozen=True)
class DatabasePassword:
    """The password in the secret of the database."""


@dataclass(frozen=True)
class Existing:
    """A secret of Secrets Manager that exists already, by its complete ARN.

    With ``PER_ENVIRONMENT`` each params/<env>.json has the ARN. ``key`` selects one value of a secret in JSON. A secret
    that is encrypted with a customer managed key also needs the ARN of this key, ``kms_key_arn``.
    """

    arn: str | PerEnvironment | RootParameter
    key: str = ""
    kms_key_arn: str = ""

    def __post_init__(self) -> None:
        check_types(self, "Existing(...)")
        if isinstance(self.arn, str) and not re.fullmatch(SECRET_ARN, self.arn):
            raise ConfigError(f'Existing("{self.arn}"): give the complete ARN of a secret of Secrets Manager')
        if not re.fullmatch(r"[A-Za-z0-9_.-]*", self.key):
            raise ConfigError(f'Existing(...): key "{self.key}", give a key of a JSON object, such as password')
        if self.kms_key_arn and not re.fullmatch(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+", self.kms_key_arn):
            raise ConfigError(f'Existing(...): kms_key_arn "{self.kms_key_arn}", give the ARN of a key')


@dataclass(frozen=True)
class Generated:
    """A random text of letters and digits. It is generated once, kept when the environment is deleted, and no person
    types it.
    """

    length: int = 64

    def __post_init__(self) -> None:
        check_types(self, "Generated(...)")
        if not 16 <= self.length <= 4096:
            raise ConfigError(f"Generated(...): length is {self.length}, give 16 to 4096")


@dataclass(frozen=True)
class Supplied:
    """A secret whose value a person supplies with ``deploy.py secrets set``. The environment creates it empty."""


@dataclass(frozen=True)
class StoredSecret:
    """The secret of the layer ``stores`` that a Generated or Supplied became. workloads.py does not use it."""

    workload: str
    variable: str
    source: Generated | Supplied

    @property
    def logical_id(self) -> str:
        """Return the logical id of the secret in the layer ``stores``."""
        return f"{self.workload}{parameter_part(self.variable)}Secret"

    @property
    def arn_output(self) -> str:
        """Return the name of the output with the ARN of the secret."""
        return f"{self.logical_id}Arn"


Secret = DatabaseUsername | DatabasePassword | Existing | Generated | Supplied | StoredSecret

# The last characters are those that Secrets Manager appends to the name. A reference to a JSON key needs them.
SECRET_ARN = r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}"  # noqa: S105 -- a pattern
