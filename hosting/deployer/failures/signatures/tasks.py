"""Failures that prevent the start of an ECS task: image, network interface, volumes, log stream and secrets."""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

SIGNATURES = (
    signature(
        "task-volume",
        Cause.NETWORK,
        r"EFS utils commands|CannotCreateVolume\w*|mount\.nfs4",
        meaning="The task cannot mount its volume: no mount target in the zone, a closed security group or a missing "
        "permission.",
        remedy="The file system needs a mount target in each app subnet and port 2049 open from the tasks (`deploy.py "
        "reach`).",
        document="Amazon ECS Developer Guide, Amazon EFS volumes",
        source=Source.DOCUMENT,
        seen="event and task",
    ),
    signature(
        "task-environment-file",
        Cause.PERMISSION,
        r"failed to download env files",
        meaning="The task cannot read its environment file from S3.",
        remedy="The execution role needs s3:GetObject on the file, and the task needs the gateway endpoint of S3.",
        document="Amazon ECS Developer Guide, Pass environment variables to a container",
        source=Source.DOCUMENT,
        seen="event and task",
    ),
    signature(
        "container-runtime",
        Cause.AWS,
        r"Could not transition to \w+; timed out|ContainerRuntime(?:Timeout)?Error|"
        r"EphemeralStorage provisioning to complete|CannotInspectContainer\w*",
        meaning="Fargate could not prepare or start the container in time.",
        remedy="Deploy again. If it fails again, open a support case with the ARN of the task.",
        document="Amazon ECS Developer Guide, Stopped task error codes",
        source=Source.DOCUMENT,
        seen="event and task",
    ),
    signature(
        "task-host-stopped",
        Cause.AWS,
        r"Spot Task was interrupted|maintenance on the underlying infrastructure|"
        r"Host EC2 \(instance \S+\) (?:stopped|terminated)",
        meaning="AWS took the host of the task back. ECS starts another task.",
        remedy="Nothing has to be corrected. Use FARGATE instead of FARGATE_SPOT where interruptions are not "
        "acceptable.",
        document="Amazon ECS Developer Guide, Task retirement and maintenance",
        source=Source.DOCUMENT,
        seen="event and task",
    ),
    signature(
        "image-refused",
        Cause.IMAGE,
        r"CannotPull\w*:(?!.*(?:\.dkr\.ecr\.|toomanyrequests|"
        r"429)).*unexpected status code https?://(?P<registry>[^/\s]+)",
        meaning="The registry {registry} refuses the pull: a rate limit or a missing login.",
        remedy="Copy the image to a repository of bootstrap (docker pull, docker tag, docker push) and set "
        "<Service>Image to it.",
        document="Amazon ECR User Guide, Pull through cache",
        source=Source.REPORT,
        seen="event and task",
    ),
    signature(
        "image-too-large",
        Cause.IMAGE,
        r"CannotPull\w*:.*no space left on device",
        meaning="The image does not fit on the disk of the task; Fargate gives each task 20 GiB by default.",
        remedy="Make the image smaller (docker history shows the layers), or set EphemeralStorage in the task "
        "definition of the generator.",
        document="Amazon ECS Developer Guide, Fargate task ephemeral storage",
        source=Source.REPORT,
        seen="event and task",
    ),
    signature(
        "task-network-interface",
        Cause.NETWORK,
        r"network interface provisioning to complete|failed to (?:configure|set ?up)\b.*\bENI\b|"
        r"Unexpected EC2 error while attempting(?!.*InsufficientFreeAddresses)",
        meaning="AWS could not attach the task's network interface in time.",
        remedy="Deploy again. If it fails again, compare the free addresses of the app subnets: aws ec2 "
        "describe-subnets --query 'Subnets[].[SubnetId,AvailableIpAddressCount]'.",
        document="Amazon ECS Developer Guide, Stopped task error codes",
        source=Source.DOCUMENT,
        seen="event and task",
    ),
    signature(
        "secret-key-missing",
        Cause.SECRET,
        r"did not contain json key (?P<key>[\w.-]+)",
        meaning="The secret has no JSON key {key}.",
        remedy="Add the key with aws secretsmanager put-secret-value, or correct the key in the task definition. Then "
        "deploy again.",
        document="Amazon ECS Developer Guide, Pass Secrets Manager secrets to a container",
        source=Source.REPORT,
        seen="event and task",
    ),
    signature(
        "task-start-failed",
        Cause.APPLICATION,
        r"^Task failed to start\.?$",
        meaning="A container of the task did not start. The stop reason of the container reports why.",
        remedy="`deploy.py diagnose` prints the reason of each container; aws ecs describe-tasks shows it for an hour.",
        document="Amazon ECS Developer Guide, Stopped task error messages",
        source=Source.DOCUMENT,
        seen="event and task",
    ),
    signature(
        "no-container-instance",
        Cause.INPUT,
        r"no container instance met all of its requirements|No Container Instances were found",
        meaning="The service uses EC2 capacity, and no instance of the cluster can run the task.",
        remedy="Use the launch type FARGATE or its capacity providers, which this platform sets.",
        document="Amazon ECS Developer Guide, Service event messages",
        source=Source.DOCUMENT,
        types="AWS::ECS::Service",
        seen="event and task",
    ),
    signature(
        "task-role-not-assumable",
        Cause.ORDER,
        r"ECS was unable to assume the role",
        meaning="ECS cannot assume the role of the task: the role is new, is deleted, or does not trust "
        "ecs-tasks.amazonaws.com.",
        remedy="Deploy again. If it fails again, compare the trust policy of the role: aws iam get-role --role-name "
        "NAME.",
        document="Amazon ECS Developer Guide, Task IAM role",
        source=Source.REPORT,
        seen="event and task",
    ),
    signature(
        "service-throttled",
        Cause.THROTTLING,
        r"operations are being throttled\. Will try again later",
        meaning="ECS limits how often the service starts tasks, and tries again later.",
        remedy="Wait. If the service stays throttled, its tasks fail after the start: `deploy.py diagnose` shows why.",
        document="Amazon ECS Developer Guide, Service throttle logic",
        source=Source.DOCUMENT,
        types="AWS::ECS::Service",
        seen="event and task",
    ),
    signature(
        "deployment-percentages",
        Cause.INPUT,
        r"because of the service deployment configuration\. Update the minimumHealthyPercent",
        meaning="The minimum and maximum percentages leave no room to stop or start one task.",
        remedy="Set MaximumPercent of the service to at least 200, or MinimumHealthyPercent to at most 50.",
        document="Amazon ECS Developer Guide, Service event messages",
        source=Source.DOCUMENT,
        types="AWS::ECS::Service",
        seen="event and task",
    ),
)
