"""CloudFront, certificates, DNS and WAF."""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

_DISTRIBUTION = "AWS::CloudFront::Distribution"

SIGNATURES = (
    signature(
        "alias-taken",
        Cause.NAME,
        r"CNAMEs you provided are already associated with a different resource|CNAMEAlreadyExists",
        meaning="Another distribution, perhaps of another account, answers for DomainName.",
        remedy="aws cloudfront list-conflicting-aliases finds it; move the name with associate-alias, or remove it "
        "there.",
        document="Amazon CloudFront Developer Guide, Moving an alternate domain name",
        source=Source.REPORT,
        types=_DISTRIBUTION,
    ),
    signature(
        "cloudfront-not-verified",
        Cause.ACCOUNT,
        r"account must be verified before you can add new CloudFront resources",
        meaning="AWS has not enabled CloudFront for this new account yet.",
        remedy="Open a support case (account and billing, free of charge) with this message. What is finished stays; "
        "deploy again afterwards.",
        document="AWS Support User Guide",
        source=Source.REPORT,
        types="AWS::CloudFront::*",
    ),
    signature(
        "viewer-certificate",
        Cause.CERTIFICATE,
        r"SSL certificate doesn't exist, isn't in us-east-1|InvalidViewerCertificate|"
        r"certificate must be in (?:the )?(?:region )?us-east-1",
        meaning="CloudFront accepts only an issued certificate of us-east-1 that covers its names.",
        remedy="ViewerCertificateArn has to be a certificate of us-east-1 in the state ISSUED. Without it the edge "
        "stack creates one in HostedZoneId.",
        document="Amazon CloudFront Developer Guide, Requirements for SSL/TLS certificates",
        source=Source.REPORT,
        types=_DISTRIBUTION,
    ),
    signature(
        "viewer-certificate-names",
        Cause.CERTIFICATE,
        r"certificate that is attached to your distribution doesn't cover the alternate domain name",
        meaning="The viewers' certificate does not name DomainName.",
        remedy="Choose a certificate for DomainName itself, or a wildcard one level above it.",
        document="Amazon CloudFront Developer Guide, Alternate domain names",
        source=Source.DOCUMENT,
        types=_DISTRIBUTION,
    ),
    signature(
        "distribution-web-acl",
        Cause.INPUT,
        r"(?:Web ACL|webACLId|WebACLId) is not accessible by the requester|InvalidWebACLId|"
        r"web ACL .*must be .*(?:CLOUDFRONT|global)",
        meaning="CloudFront takes the ARN of a web ACL of us-east-1 with the scope CLOUDFRONT.",
        remedy="The edge stack has to be deployed first; its output WebAclArn feeds this one.",
        document="AWS WAF Developer Guide, Web ACLs and CloudFront",
        source=Source.REPORT,
        types=_DISTRIBUTION,
    ),
    signature(
        "cloudfront-name-taken",
        Cause.NAME,
        r"(?:origin access control|cache policy|origin request policy|response headers policy|function)"
        r"[^.]*(?:with (?:the same|this) name|with name) ?\S* ?already exists|"
        r"(?:OriginAccessControl|CachePolicy|OriginRequestPolicy|ResponseHeadersPolicy|Function)AlreadyExists",
        meaning="A CloudFront function, policy or access control of this name is left from an earlier try.",
        remedy="Delete it in the CloudFront console when no distribution uses it, then deploy again.",
        document="Amazon CloudFront API Reference, Common errors",
        source=Source.MODEL,
        types="AWS::CloudFront::OriginAccessControl AWS::CloudFront::CachePolicy AWS::CloudFront::Function "
        "AWS::CloudFront::OriginRequestPolicy AWS::CloudFront::ResponseHeadersPolicy",
    ),
    signature(
        "cloudfront-in-use",
        Cause.IN_USE,
        r"(?:policy|function|origin access control) is (?:currently )?in use|"
        r"(?:CachePolicy|OriginRequestPolicy|ResponseHeadersPolicy|Function|OriginAccessControl)InUse|"
        r"associated with \d+ or more distributions",
        meaning="Another distribution uses this CloudFront policy or function.",
        remedy="Take it off that distribution, then run the command again.",
        document="Amazon CloudFront API Reference, Common errors",
        source=Source.MODEL,
        types="AWS::CloudFront::*",
    ),
    signature(
        "distribution-enabled",
        Cause.IN_USE,
        r"distribution you are trying to delete has not been disabled|DistributionNotDisabled",
        meaning="The distribution was switched on again while it was being deleted.",
        remedy="Run the command again, and do not change the distribution meanwhile.",
        document="Amazon CloudFront Developer Guide, Delete a distribution",
        source=Source.MODEL,
        types=_DISTRIBUTION,
    ),
    signature(
        "distribution-quota",
        Cause.QUOTA,
        r"TooMany(?:Distributions|Functions|CachePolicies|OriginRequestPolicies|ResponseHeadersPolicies|"
        r"OriginAccessControls)",
        meaning="A CloudFront quota of the account is used up.",
        remedy="Raise it in Service Quotas (CloudFront, region us-east-1).",
        document="Amazon CloudFront Developer Guide, Quotas",
        source=Source.MODEL,
        types="AWS::CloudFront::*",
    ),
    signature(
        "certificate-not-issued",
        Cause.CERTIFICATE,
        r"(?:certificate|Certificate) \S* ?(?:must have|is not in|does not have) .*(?:ISSUED|fully-qualified|"
        r"supported signature)|"
        r"DNS Record Set is not available|Additional verification required|because of (?:a )?CAA|"
        r"The certificate .* (?:status|is) (?:PENDING_VALIDATION|FAILED|"
        r"VALIDATION_TIMED_OUT)|"
        r"CertificateNotFound",
        meaning="The certificate has not been issued.",
        remedy="Its validation record has to be in the public zone HostedZoneId, and the domain to be delegated to "
        "that zone's name servers (dig NS). A CAA record may forbid amazon.com.",
        document="AWS Certificate Manager User Guide, DNS validation",
        source=Source.REPORT,
        types="AWS::CertificateManager::Certificate AWS::ElasticLoadBalancingV2::Listener",
    ),
    signature(
        "listener-certificate-region",
        Cause.CERTIFICATE,
        r"(?:Certificate ARN|certificate) '?\S*'? is not valid|certificate ARN .*(?:not in the same region|"
        r"invalid region)",
        meaning="A listener accepts only a certificate of its own region.",
        remedy="OriginCertificateArn has to be one of the home region; the one of us-east-1 is ViewerCertificateArn.",
        document="Elastic Load Balancing User Guide, HTTPS listeners",
        source=Source.KNOWN,
        types="AWS::ElasticLoadBalancingV2::Listener",
    ),
    signature(
        "certificate-in-use",
        Cause.IN_USE,
        r"Certificate \S+ (?:in account \S+ )?is in use",
        meaning="Something still uses the certificate.",
        remedy="aws acm describe-certificate names it under InUseBy; the distribution has to go first.",
        document="AWS Certificate Manager User Guide, Delete certificates",
        source=Source.DOCUMENT,
        types="AWS::CertificateManager::Certificate",
    ),
    signature(
        "record-exists",
        Cause.NAME,
        r"Tried to create resource record set .* but it already exists",
        meaning="The zone has a record of this name that CloudFormation did not make.",
        remedy="Delete or rename the record in Route 53 (note its value first), then deploy again.",
        document="Amazon Route 53 API Reference, InvalidChangeBatch",
        source=Source.REPORT,
        types="AWS::Route53::RecordSet",
    ),
    signature(
        "zone-not-found",
        Cause.INPUT,
        r"specified hosted zone does not exist|NoSuchHostedZone|No hosted zone found with ID:? (?P<zone>\w+)|"
        r"RRSet with DNS name \S+ is not permitted in zone",
        meaning="HostedZoneId is not a zone of this account that holds DomainName.",
        remedy="Take the id of the public zone in Route 53 whose name DomainName ends with.",
        document="Amazon Route 53 Developer Guide, Public hosted zones",
        source=Source.REPORT,
        types="AWS::Route53::RecordSet AWS::CertificateManager::Certificate",
    ),
    signature(
        "waf-capacity",
        Cause.QUOTA,
        r"exceeded the capacity limit for a rule group or web ACL|WAFLimitsExceeded",
        meaning="The web ACL's rules need more capacity units than it may have.",
        remedy="Take a rule group out of the edge stack's list, or have the quota raised.",
        document="AWS WAF Developer Guide, Web ACL capacity units",
        source=Source.REPORT,
        types="AWS::WAFv2::*",
    ),
    signature(
        "waf-scope",
        Cause.INPUT,
        r"scope is not valid.*(?:CLOUDFRONT|field: SCOPE)",
        meaning="A web ACL for CloudFront exists in us-east-1 only.",
        remedy="The edge stack has to be deployed to us-east-1.",
        document="AWS WAF Developer Guide, Web ACLs and CloudFront",
        source=Source.REPORT,
        types="AWS::WAFv2::*",
    ),
    signature(
        "waf-in-use",
        Cause.IN_USE,
        r"WAFAssociatedItem|AWS WAF couldn.t perform the operation because your resource is being used",
        meaning="A distribution still uses the web ACL.",
        remedy="Delete the root stack first. Wait some minutes until CloudFront releases the web ACL, then run the "
        "command again.",
        document="AWS WAF API Reference, WAFAssociatedItemException",
        source=Source.MODEL,
        types="AWS::WAFv2::*",
    ),
    signature(
        "waf-log-destination",
        Cause.INPUT,
        r"(?:LOG_DESTINATION|ARN isn't valid.*log|WAFLogDestinationPermissionIssue|The log destination|"
        r"Unable to deliver logs to the configured destination|You don.t have the permissions that are required)",
        meaning="WAF does not accept the log group.",
        remedy="Its name has to begin with aws-waf-logs-, and its ARN to end without :*. WAF writes a resource policy "
        "for each log group: the role that deploys needs logs:PutResourcePolicy, logs:DescribeResourcePolicies and "
        "logs:DescribeLogGroups.",
        document="AWS WAF Developer Guide, Sending web ACL traffic logs to CloudWatch Logs",
        source=Source.REPORT,
        types="AWS::WAFv2::LoggingConfiguration",
    ),
    signature(
        "distribution-log-bucket",
        Cause.PERMISSION,
        r"S3 bucket that you specified for CloudFront logs|s3:GetBucketAcl and s3:PutBucketAcl permissions",
        meaning="CloudFront cannot write its logs to the bucket: the bucket has ACLs disabled, or the role that "
        "deploys may not change its ACL.",
        remedy="Set ObjectOwnership of the log bucket to BucketOwnerPreferred, or deliver logs by CloudWatch vended "
        "logs (standard logging v2).",
        document="Amazon CloudFront Developer Guide, Configure standard logging (legacy)",
        source=Source.REPORT,
        types="AWS::CloudFront::*",
    ),
    signature(
        "origin-unknown",
        Cause.INPUT,
        r"target origins or origin groups do not exist|specified origin server does not exist|InvalidOrigin\b|"
        r"NoSuchOrigin",
        meaning="A cache behavior names an origin that the distribution does not have, or the origin's domain name is "
        "invalid.",
        remedy="Compare TargetOriginId of each behavior with the Id of the origins in the generator's distribution "
        "layer.",
        document="Amazon CloudFront API Reference, CacheBehavior",
        source=Source.REPORT,
        types="AWS::CloudFront::*",
    ),
    signature(
        "waf-rule-invalid",
        Cause.INPUT,
        r"Error reason: (?!The scope|You exceeded|.*LOG_DESTINATION).*field: (?P<field>\w+)|"
        r"fields that belong to a feature you are not allowed to use",
        meaning="WAF refuses a rule: the field {field} has no value, more than one value, or belongs to a feature "
        "that this web ACL does not have.",
        remedy="Give the statement exactly one condition; each entry of ManagedRuleGroupConfigs has one field. "
        "Correct the rule in the generator's edge layer.",
        document="AWS WAF API Reference, Statement",
        source=Source.REPORT,
        types="AWS::WAFv2::*",
    ),
)
