"""Connection to AWS: clients by region, the caller's identity, and one clear message if AWS cannot be reached."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore import exceptions as botocore
from botocore.config import Config

from hosting.deployer.errors import CredentialsError, DeployerError, GuardError, StateError
from hosting.model.lambda_shared.redact import redact

if TYPE_CHECKING:
    from mypy_boto3_acm import ACMClient
    from mypy_boto3_chatbot import ChatbotClient
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudfront import CloudFrontClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

# Every error of a call: AWS refused it, or it did not reach AWS.
AWS_ERRORS = (botocore.BotoCoreError, botocore.ClientError)

# Following a deployment reads many stacks: the standard mode backs off on throttling, and more attempts than
# the default keep a busy account from failing a good deployment.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
    user_agent_extra="hosting-platform",
    max_pool_connections=32,
)


@dataclass(frozen=True)
class Identity:
    """Identity of the credentials."""

    account: str
    arn: str
    partition: str

    @property
    def url_suffix(self) -> str:
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"


class Clients:
    """boto3 clients, created at first use: creating one takes longer than most calls.

    Without `endpoint_url` the SDK selects the endpoint: AWS_ENDPOINT_URL, the profile, or AWS. With it every client
    uses this endpoint only. `session` replaces the profile and the environment as the source of credentials.
    """

    def __init__(
        self,
        profile: str | None = None,
        region: str | None = None,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        try:
            self._session = session or boto3.Session(profile_name=profile, region_name=region)
        except botocore.BotoCoreError as error:
            raise explain(error) from error
        self._profile = profile
        self._endpoint_url = endpoint_url
        self._made: dict[tuple[str, str, bool], Any] = {}
        # A boto3 session is not thread-safe while it creates clients. The clients are thread-safe.
        self._lock = threading.RLock()

    @property
    def region(self) -> str | None:
        return cast("str | None", self._session.region_name)

    @property
    def profile(self) -> str | None:
        """The profile that the user named."""
        return self._profile

    def cloudformation(self, region: str) -> CloudFormationClient:
        return cast("CloudFormationClient", self._client("cloudformation", region))

    def s3(self, region: str) -> S3Client:
        return cast("S3Client", self._client("s3", region))

    def sts(self, region: str) -> STSClient:
        return cast("STSClient", self._client("sts", region))

    def ec2(self, region: str) -> EC2Client:
        return cast("EC2Client", self._client("ec2", region))

    def ecs(self, region: str) -> ECSClient:
        return cast("ECSClient", self._client("ecs", region))

    def ecr(self, region: str) -> ECRClient:
        return cast("ECRClient", self._client("ecr", region))

    def acm(self, region: str) -> ACMClient:
        return cast("ACMClient", self._client("acm", region))

    def acm_once(self, region: str) -> ACMClient:
        """Return a client that never repeats a request, for requests without an idempotency token."""
        return cast("ACMClient", self._client("acm", region, repeats=False))

    def rds(self, region: str) -> RDSClient:
        return cast("RDSClient", self._client("rds", region))

    def elbv2(self, region: str) -> ElasticLoadBalancingv2Client:
        return cast("ElasticLoadBalancingv2Client", self._client("elbv2", region))

    def cloudfront(self, region: str) -> CloudFrontClient:
        return cast("CloudFrontClient", self._client("cloudfront", region))

    def cloudwatch(self, region: str) -> CloudWatchClient:
        return cast("CloudWatchClient", self._client("cloudwatch", region))

    def chatbot(self, region: str) -> ChatbotClient:
        return cast("ChatbotClient", self._client("chatbot", region))

    def iam(self, region: str) -> IAMClient:
        return cast("IAMClient", self._client("iam", region))

    def logs(self, region: str) -> CloudWatchLogsClient:
        return cast("CloudWatchLogsClient", self._client("logs", region))

    def route53(self, region: str) -> Route53Client:
        return cast("Route53Client", self._client("route53", region))

    def secretsmanager(self, region: str) -> SecretsManagerClient:
        return cast("SecretsManagerClient", self._client("secretsmanager", region))

    def service_quotas(self, region: str) -> ServiceQuotasClient:
        return cast("ServiceQuotasClient", self._client("service-quotas", region))

    def sqs(self, region: str) -> Any:
        return self._client("sqs", region)

    def ssm(self, region: str) -> SSMClient:
        return cast("SSMClient", self._client("ssm", region))

    def scheduler(self, region: str) -> Any:
        return self._client("scheduler", region)

    def wafv2(self, region: str) -> Any:
        return self._client("wafv2", region)

    def _client(self, service: str, region: str, *, repeats: bool = True) -> Any:
        with self._lock:
            key = (service, region, repeats)
            if key not in self._made:
                config = _CONFIG if repeats else _CONFIG.merge(Config(retries={"total_max_attempts": 1}))
                self._made[key] = self.create(service, region, config)
                _reject_truncated_replies(self._made[key])
            return self._made[key]

    def create(self, service: str, region: str, config: Config) -> Any:
        """Return a new client of any service, with the same credentials and endpoint."""
        with self._lock:
            create = cast("Any", self._session.client)
            return create(service, region_name=region, endpoint_url=self._endpoint_url, config=config)


def _reject_truncated_replies(client: Any) -> None:
    """Treat a truncated reply as a broken connection, which the SDK retries.

    botocore does not compare the body with Content-Length. Half an XML document becomes a parser error that is not
    retried, and half a JSON document becomes an answer with missing members.
    """
    session = client._endpoint.http_session
    send = session.send

    def send_checked(request: Any) -> Any:
        reply = send(request)
        length = reply.headers.get("Content-Length", "")
        if request.method != "HEAD" and not request.stream_output and length.isdigit():
            missing = int(length) - len(reply.content)
            if missing > 0:
                raise botocore.ConnectionClosedError(endpoint_url=request.url, error=f"{missing} bytes missing")
        return reply

    session.send = send_checked


def identify(clients: Clients, region: str) -> Identity:
    """Return the identity of the credentials. Every command calls this first."""
    try:
        answer = clients.sts(region).get_caller_identity()
    except AWS_ERRORS as error:
        raise explain(error) from error
    return Identity(answer["Account"], answer["Arn"], answer["Arn"].split(":")[1])


def resolve_home_region(declared: str | None, asked: str | None, configured: str | None, where: str) -> str:
    """Return the region of an environment: from the parameter file, `--region`, or the AWS configuration.

    Raises GuardError if `--region` contradicts the parameter file, so that nothing is deployed to another region by
    accident.
    """
    if declared and asked and declared != asked:
        raise GuardError(
            f"this environment belongs to {declared}, not to {asked}",
            where=where,
            hint=f'omit --region, or change "Region" in {where}',
        )
    region = declared or asked or configured
    if not region:
        raise CredentialsError("no region is configured", hint=f'add "Region" to {where}, or use --region')
    return region


def require_account(identity: Identity, account: str | None, where: str) -> None:
    """Raise GuardError if the credentials belong to another account than the environment's own."""
    if account and identity.account != account:
        raise GuardError(
            f"this environment belongs to account {account}, but the credentials ({identity.arn}) belong to "
            f"{identity.account}",
            where=where,
            hint="use other credentials (--profile, AWS_PROFILE)",
        )


_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
# The codes, and the words beside the codes of invalid signatures, with which the services report a wrong clock.
_SKEWED = frozenset({"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"})
_SKEWED_TEXT = re.compile(r"signature (expired|not yet current)|is (now earlier|still later) than|request time", re.I)
_SIGNATURE = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSignature"})
_INVALID = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "AuthFailure",
    }
)
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException", "AuthorizationError"}
)


def is_denied(error: botocore.ClientError) -> bool:
    """Return whether the error means that the principal lacks a permission. The codes differ by service."""
    return error.response.get("Error", {}).get("Code", "") in _DENIED


_BUSY = re.compile(r"\bis in \[?\w+_IN_PROGRESS\]? state", re.IGNORECASE)


def is_overtaken(error: botocore.ClientError) -> bool:
    """Return whether CloudFormation refused a call because another operation runs on the stack."""
    answer = error.response.get("Error", {})
    code, message = answer.get("Code", ""), answer.get("Message", "")
    return code == "OperationInProgressException" or (code == "ValidationError" and bool(_BUSY.search(message)))


def create_overtaken_error(where: str) -> StateError:
    """Return the error for a stack that another deployment has changed, or is changing."""
    return StateError(
        "another deployment of this stack has started since this command read it, and nothing was changed here",
        where=where,
        hint="follow it with `deploy.py watch`, then run this command again",
    )


def explain(error: Exception) -> DeployerError:
    """Return an exception of botocore as a DeployerError with cause and next step."""
    if isinstance(error, botocore.ClientError):
        return _explain_answer(error)
    if isinstance(error, (botocore.NoCredentialsError, botocore.PartialCredentialsError)):
        hint = "log in first (`aws sso login`, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        return CredentialsError("no AWS credentials found", hint=hint)
    if isinstance(error, botocore.ProfileNotFound):
        hint = "known profiles: `aws configure list-profiles`"
        return CredentialsError(str(error), hint=hint)
    if isinstance(error, (botocore.SSOError, botocore.TokenRetrievalError, botocore.CredentialRetrievalError)):
        return CredentialsError(f"the credentials could not be fetched: {error}", hint="run `aws sso login`")
    if isinstance(error, (botocore.EndpointConnectionError, botocore.ConnectTimeoutError)):
        hint = "check the network, the region's name and AWS_ENDPOINT_URL"
        return CredentialsError(f"AWS cannot be reached: {error}", hint=hint)
    return DeployerError(f"AWS could not be called: {error}")


def _explain_answer(error: botocore.ClientError) -> DeployerError:
    code = error.response.get("Error", {}).get("Code", "")
    message = redact(error.response.get("Error", {}).get("Message", str(error)))
    operation = error.operation_name
    if code in _SKEWED or (code in _SIGNATURE and _SKEWED_TEXT.search(message)):
        hint = "synchronize the clock (NTP); if it is correct, the temporary credentials have expired: log in again"
        return CredentialsError(f"the clock of this machine differs from the clock of AWS: {message}", hint=hint)
    if code in _EXPIRED:
        return CredentialsError("the AWS credentials have expired", hint="log in again (`aws sso login`)")
    if code in _INVALID:
        hint = "check the profile and the access key; temporary ones also need AWS_SESSION_TOKEN"
        return CredentialsError(f"AWS does not accept the credentials: {message}", hint=hint)
    if code in _DENIED:
        hint = f"the principal needs permission for {operation}"
        return DeployerError(f"AWS denied {operation}: {message}", hint=hint)
    if is_overtaken(error):
        return create_overtaken_error("")
    return DeployerError(f"AWS refused {operation} ({code}): {message}")
