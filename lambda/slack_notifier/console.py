"""Links to the AWS console, as Slack markdown."""

import os
from urllib.parse import quote

from notification import link


def own_region() -> str:
    return os.environ["AWS_REGION"]  # Lambda always sets it


def _page(region: str, path: str, label: str) -> str:
    return link(f"https://{region}.console.aws.amazon.com/{path}", label)


def home(region: str) -> str:
    return _page(region, f"console/home?region={region}", "console")


def alarm(region: str, name: str) -> str:
    return _page(region, f"cloudwatch/home?region={region}#alarmsV2:alarm/{quote(name, safe='')}", "alarm")


def service(region: str, cluster: str, name: str) -> str:
    path = f"ecs/v2/clusters/{quote(cluster)}/services/{quote(name)}/deployments?region={region}"
    return _page(region, path, "service")


def task(region: str, cluster: str, task_id: str) -> str:
    return _page(region, f"ecs/v2/clusters/{quote(cluster)}/tasks/{quote(task_id)}/logs?region={region}", "task")


def database(region: str, name: str, *, is_cluster: bool) -> str:
    path = f"rds/home?region={region}#database:id={quote(name)};is-cluster={str(is_cluster).lower()}"
    return _page(region, path, "database")


def log_stream(region: str, group: str, stream: str, start: int) -> str:
    """Return a link to a log stream. The console encodes names twice and writes % as $."""

    def twice(name: str) -> str:
        return quote(quote(name, safe=""), safe="").replace("%", "$")

    path = f"cloudwatch/home?region={region}#logsV2:log-groups/log-group/{twice(group)}/log-events/{twice(stream)}"
    return _page(region, f"{path}$3Fstart$3D{start}", "log")


def stack(region: str, arn: str) -> str:
    return _page(region, f"cloudformation/home?region={region}#/stacks/events?stackId={quote(arn, safe='')}", "stack")


def certificate(region: str, arn: str) -> str:
    return _page(region, f"acm/home?region={region}#/certificates/{quote(arn.rpartition('/')[2])}", "certificate")


def health() -> str:
    # The console of AWS Health has no region.
    return link("https://health.aws.amazon.com/health/home#/account/dashboard/open-issues", "AWS Health")


def topic(region: str, arn: str) -> str:
    return _page(region, f"sns/v3/home?region={region}#/topic/{quote(arn, safe=':')}", "topic")


def budgets() -> str:
    # The console of Billing has no region.
    return link("https://console.aws.amazon.com/billing/home#/budgets", "budgets")
