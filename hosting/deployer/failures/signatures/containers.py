"""ECS, Fargate, images and load balancing."""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

_SERVICE = "AWS::ECS::Service"
_BOTH = "event and task"

SIGNATURES = (
    signature(
        "image-not-found",
        Cause.IMAGE,
        r"CannotPull(?:Container|ImageManifest)\w*: (?!.*platform)(?!.*(?:timeout|timed out|i/o|deadline|dial|"
        r"toomanyrequests|denied))"
        r".*(?:not found|manifest unknown|does not exist)",
        meaning="The image or its tag is not in the registry.",
        remedy="Push the image, put its digest into the parameter file (<Service>Image), and deploy again.",
        document="Amazon ECS Developer Guide, CannotPullContainer task errors",
        source=Source.DOCUMENT,
        seen=_BOTH,
    ),
    signature(
        "image-platform",
        Cause.IMAGE,
        r"CannotPull(?:Container|ImageManifest)\w*:.*(?:descriptor|match).*platform|no matching manifest for|"
        r"exec format error",
        meaning="The image was built for another processor than the tasks have.",
        remedy="Build it for the architecture in CpuArchitecture (docker buildx build --platform linux/arm64 or "
        "linux/amd64), or change CpuArchitecture.",
        document="Amazon ECS Developer Guide, RuntimePlatform",
        source=Source.REPORT,
        seen=_BOTH,
    ),
    signature(
        "image-registry-unreachable",
        Cause.NETWORK,
        r"(?:CannotPull\w*|unable to pull (?:secrets or )?registry auth|pull registry auth from Amazon ECR).*"
        r"(?:i/o timeout|request canceled|connection timeout|dial tcp|TLS handshake timeout)|"
        r"registry auth: (?:\.\.\.|.*\becr\b).*context deadline exceeded|"
        r"CannotPull\w*:.*(?:check your (?:task )?network configuration|context canceled)|"
        r"registry auth from Amazon ECR: There is a connection issue",
        meaning="The task does not reach the registry.",
        remedy="Public images go through the NAT gateways; images of ECR through the endpoints ecr.api and ecr.dkr "
        "and, for the layers, the gateway endpoint of S3. Look at routes and security groups: `deploy.py reach`.",
        document="Amazon ECS Developer Guide, CannotPullContainer task errors",
        source=Source.DOCUMENT,
        seen=_BOTH,
    ),
    signature(
        "image-rate-limit",
        Cause.THROTTLING,
        r"CannotPull\w*:.*(?:toomanyrequests|pull rate limit|429 Too Many Requests)",
        meaning="The registry limits how often images are pulled without a login.",
        remedy="Copy the image to the ECR repositories of bootstrap and refer to it there.",
        document="Amazon ECR User Guide, Pull through cache",
        source=Source.REPORT,
        seen=_BOTH,
    ),
    signature(
        "image-access-denied",
        Cause.PERMISSION,
        r"pull access denied|ecr:GetAuthorizationToken|ecr:BatchGetImage|ecr:GetDownloadUrlForLayer|"
        r"ECR: GetAuthorizationToken.*AccessDenied|CannotPull\w*:(?!.*toomanyrequests).*(?:403 Forbidden|"
        r"401 Unauthorized|"
        r"no basic auth credentials|denied: |authentication required|failed to authorize|"
        r"Check that the role has the permissions)",
        meaning="The tasks' execution role may not pull this image.",
        remedy="An image of another account needs a repository policy there that allows this account. For an own "
        "image, see that the parameter names this account and region.",
        document="Amazon ECR User Guide, Repository policies",
        source=Source.DOCUMENT,
        types=_SERVICE,
        seen=_BOTH,
    ),
    signature(
        "circuit-breaker",
        Cause.APPLICATION,
        r"ECS Deployment Circuit Breaker was triggered|deployment failed: tasks failed to start",
        meaning="Tasks of the new version did not become healthy, time after time, and ECS gave up.",
        remedy="The reason is what the tasks said before they stopped: see the recorded tasks below, or `deploy.py "
        "diagnose`.",
        document="Amazon ECS Developer Guide, Deployment circuit breaker",
        source=Source.REPORT,
        types=_SERVICE,
    ),
    signature(
        "deployment-alarm",
        Cause.APPLICATION,
        r"deployment failed: alarm detected",
        meaning="The new version ran, and an alarm fired during the deployment: it returns errors or responds "
        "slowly. ECS restored the old version.",
        remedy="Read the log of the new version: `deploy.py logs app --service NAME --previous`. A version that is "
        "deployed while the alarm is in ALARM is not watched.",
        document="Amazon ECS Developer Guide, How CloudWatch alarms detect Amazon ECS deployment failures",
        source=Source.DOCUMENT,
        types=_SERVICE,
        seen=_BOTH,
    ),
    signature(
        "service-not-stable",
        Cause.APPLICATION,
        r"(?:service .* )?did not stabilize|Exceeded attempts to wait|unable to consistently start tasks successfully",
        meaning="The service did not reach its number of healthy tasks in the time that CloudFormation waits.",
        remedy="See the recorded tasks: exit code, last log lines and target health say what keeps them from running.",
        document="Amazon ECS Developer Guide, Service event messages",
        source=Source.REPORT,
        types=_SERVICE,
        seen=_BOTH,
    ),
    signature(
        "load-balancer-health",
        Cause.APPLICATION,
        r"failed ELB health checks|is unhealthy in \(?(?:target-group|target group|elb )|"
        r"Health checks failed with these codes|Target\.(?:ResponseCodeMismatch|Timeout|FailedHealthChecks)",
        meaning="The load balancer's health check got no good answer from the task.",
        remedy="The application has to listen on its container port on 0.0.0.0 and to answer the health check path "
        "with 200-399 within the grace period. A redirect to a login or a check of the Host header are usual causes.",
        document="Amazon ECS Developer Guide, Troubleshooting load balancer health checks",
        source=Source.DOCUMENT,
        seen=_BOTH,
    ),
    signature(
        "container-health",
        Cause.APPLICATION,
        r"Task failed container health checks",
        meaning="The container's own health check failed.",
        remedy="Its command runs inside the container: the program that it calls has to be in the image, and to "
        "succeed.",
        document="Amazon ECS Developer Guide, Task definition health check",
        source=Source.DOCUMENT,
        seen="task",
    ),
    signature(
        "out-of-memory",
        Cause.APPLICATION,
        r"OutOfMemoryError|killed due to memory usage",
        meaning="The container used more memory than the task has.",
        remedy="Raise <Service>Memory in the parameter file, or find what uses it in the log lines below.",
        document="Amazon ECS Developer Guide, OutOfMemory errors",
        source=Source.DOCUMENT,
        seen="task",
    ),
    signature(
        "container-exited",
        Cause.APPLICATION,
        r"Essential container in task exited",
        meaning="The application exited.",
        remedy="Look at its exit code and its last log lines: 1 is an error of its own, 137 a kill (memory, or a "
        "health check), 139 a crash, 143 a stop from outside.",
        document="Amazon ECS Developer Guide, Stopped tasks error codes",
        source=Source.DOCUMENT,
        seen="task",
    ),
    signature(
        "container-cannot-start",
        Cause.APPLICATION,
        r"CannotStartContainerError(?!.*(?:exec format|logging driver))|CannotCreateContainerError|"
        r"runc create failed|executable file not found in \$PATH",
        meaning="The container's command cannot be run.",
        remedy="Entry point and command have to exist in the image and be executable by the user that the task "
        "definition names.",
        document="Amazon ECS Developer Guide, Stopped tasks error codes",
        source=Source.DOCUMENT,
        seen=_BOTH,
    ),
    signature(
        "task-log-driver",
        Cause.NETWORK,
        r"failed to (?:validate logger args|initialize logging driver|create Cloudwatch log stream)|"
        r"awslogs.*log group does not exist|cannot find the Amazon CloudWatch log group",
        meaning="The task could not open its log stream.",
        remedy="The log group has to exist, the execution role to be allowed logs:CreateLogStream, and the task to "
        "reach the logs endpoint.",
        document="Amazon ECS Developer Guide, ResourceInitializationError",
        source=Source.REPORT,
        seen=_BOTH,
    ),
    signature(
        "fargate-vcpu-quota",
        Cause.QUOTA,
        r"limit on the number of (?:vCPUs|tasks) you can run concurrently|requested (?:CPU|"
        r"MEMORY) configuration is above your limit",
        meaning="The account's quota of Fargate is used up; a deployment needs room for both versions at once.",
        remedy="Raise the quota L-3032A538 (Fargate On-Demand vCPU resource count) in Service Quotas, then deploy "
        "again.",
        document="Amazon ECS Developer Guide, Service quotas",
        source=Source.REPORT,
        seen=_BOTH,
    ),
    signature(
        "fargate-capacity",
        Cause.AWS,
        r"Capacity is unavailable at this time|unable to place a task\. Reason: Internal error",
        meaning="Fargate has no room in the zone at this moment.",
        remedy="Deploy again later; the deployment continues from here.",
        document="Amazon ECS Developer Guide, Service event messages",
        source=Source.DOCUMENT,
        seen=_BOTH,
    ),
    signature(
        "fargate-size",
        Cause.INPUT,
        r"No Fargate configuration exists for given values|Invalid ['\"]?cpu['\"]? setting for task|(?:CPU|"
        r"memory) .* not valid for Fargate",
        meaning="Fargate does not offer this pair of CPU and memory.",
        remedy="Correct <Service>Cpu and <Service>Memory: 256 with 512-2048, 512 with 1024-4096, 1024 with 2048-8192, "
        "2048 with 4096-16384.",
        document="Amazon ECS Developer Guide, Task CPU and memory",
        source=Source.DOCUMENT,
        types="AWS::ECS::TaskDefinition AWS::ECS::Service",
    ),
    signature(
        "target-group-without-load-balancer",
        Cause.ORDER,
        r"target group with targetGroupArn \S+ does not have an associated load balancer",
        meaning="The service was created before a listener rule led to its target group.",
        remedy="The service has to depend on the listener rules that forward to it. Deploying again succeeds, since "
        "the rules are there now.",
        document="Amazon ECS Developer Guide, Service load balancing",
        source=Source.REPORT,
        types=_SERVICE,
    ),
    signature(
        "exec-role-missing",
        Cause.PERMISSION,
        r"valid taskRoleArn is not being used",
        meaning="Exec is on for a task without a task role.",
        remedy="Give the task definition a task role with the four ssmmessages actions.",
        document="Amazon ECS Developer Guide, ECS Exec",
        source=Source.REPORT,
        types=_SERVICE,
    ),
    signature(
        "listener-priority",
        Cause.NAME,
        r"Priority '?(?P<priority>\d*)'? is currently in use",
        meaning="Another rule of the listener has priority {priority}.",
        remedy="Give each service a priority of its own in the generator's list of services; two rules cannot swap "
        "theirs in one deployment.",
        document="Elastic Load Balancing User Guide, Listener rules",
        source=Source.REPORT,
        types="AWS::ElasticLoadBalancingV2::ListenerRule",
    ),
    signature(
        "load-balancer-not-allowed",
        Cause.ACCOUNT,
        r"account currently does not support creating load balancers",
        meaning="AWS has not enabled load balancers for this new account yet.",
        remedy="Open a support case (account and billing, free of charge) with this message; then deploy again.",
        document="AWS Support User Guide",
        source=Source.REPORT,
        types="AWS::ElasticLoadBalancingV2::LoadBalancer",
    ),
    signature(
        "load-balancer-zone",
        Cause.ZONE,
        r"Availability Zones? (?P<zone>\S+) cannot be associated with a load balancer",
        meaning="The zone {zone} does not accept load balancers.",
        remedy="Choose other zones with FirstZone and SecondZone before the first deployment.",
        document="Elastic Load Balancing User Guide, Availability Zones",
        source=Source.REPORT,
        types="AWS::ElasticLoadBalancingV2::LoadBalancer",
    ),
    signature(
        "load-balancer-log-bucket",
        Cause.PERMISSION,
        r"Access Denied for bucket: (?P<bucket>[^\s.]\S*?)\.? Please check S3\s?bucket permission",
        meaning="The load balancer may not write its logs to {bucket}.",
        remedy="The bucket has to be encrypted with S3's own key (AES256), and its policy to allow "
        "logdelivery.elasticloadbalancing.amazonaws.com to put objects.",
        document="Elastic Load Balancing User Guide, Access logs",
        source=Source.REPORT,
        types="AWS::ElasticLoadBalancingV2::LoadBalancer",
    ),
    signature(
        "load-balancer-protected",
        Cause.DATA,
        r"Load balancer (?:'?\S*'? )?cannot be deleted because deletion protection is enabled",
        meaning="The load balancer is protected against deletion.",
        remedy="`deploy.py destroy --unprotect`, when it really has to go.",
        document="Elastic Load Balancing User Guide, Deletion protection",
        source=Source.KNOWN,
        types="AWS::ElasticLoadBalancingV2::LoadBalancer",
    ),
    signature(
        "target-group-in-use",
        Cause.IN_USE,
        r"Target group '?\S*'? is currently in use by a listener or a rule",
        meaning="A rule still forwards to the target group.",
        remedy="Delete the rule that was created outside CloudFormation, then run the command again.",
        document="Elastic Load Balancing User Guide, Target groups",
        source=Source.KNOWN,
        types="AWS::ElasticLoadBalancingV2::TargetGroup",
    ),
    signature(
        "target-group-other-load-balancer",
        Cause.IN_USE,
        r"target groups? cannot be associated with more than one load balancer",
        meaning="The target group still belongs to the load balancer that this update replaces.",
        remedy="Replace the target groups with the load balancer: change their logical ids or their names in the "
        "generator. Or keep the scheme of the load balancer.",
        document="Elastic Load Balancing User Guide for Application Load Balancers, Target groups",
        source=Source.REPORT,
        types="AWS::ElasticLoadBalancingV2::*",
    ),
    signature(
        "load-balancer-zones",
        Cause.ZONE,
        r"multiple subnets in the same Availability Zone|At least two subnets in two different Availability Zones",
        meaning="A load balancer needs subnets in two different zones.",
        remedy="Set FirstZone and SecondZone to different zones (aws ec2 describe-availability-zones).",
        document="Elastic Load Balancing User Guide for Application Load Balancers, Subnets for your load balancer",
        source=Source.REPORT,
        types="AWS::ElasticLoadBalancingV2::LoadBalancer",
    ),
    signature(
        "scaling-target-missing",
        Cause.ORDER,
        r"No scalable target (?:registered|found)",
        meaning="The scaling policy names a service that is not registered with Application Auto Scaling.",
        remedy="`deploy.py drift -e ENV` shows a target that was deleted outside CloudFormation. Delete the policies "
        "too, then deploy again.",
        document="AWS Application Auto Scaling User Guide, Scalable targets",
        source=Source.REPORT,
        types="AWS::ApplicationAutoScaling::*",
    ),
)
