"""Aurora."""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

_RDS = "AWS::RDS::*"

SIGNATURES = (
    signature(
        "engine-version",
        Cause.VERSION,
        r"Cannot find version (?P<version>\S+) for (?P<engine>[a-z]\S*)",
        meaning="RDS does not offer {engine} {version} any more, or not yet, in this region.",
        remedy="Choose a version of `aws rds describe-db-engine-versions --engine {engine}` for DbEngineVersion.",
        document="Amazon Aurora User Guide, Aurora MySQL versions",
        source=Source.REPORT,
        types=_RDS,
    ),
    signature(
        "engine-not-available",
        Cause.VERSION,
        r"engine (?:version|mode) .{0,80}(?:was not found|unavailable|not available|not supported|does not match)",
        meaning="RDS does not offer this engine version or mode here, or the instances and the cluster differ in it.",
        remedy="Choose a version of `aws rds describe-db-engine-versions --engine aurora-mysql` for DbEngineVersion; "
        "Serverless is a property of the instances (DbInstanceClass db.serverless).",
        document="Amazon Aurora User Guide, Database engine updates for Amazon Aurora MySQL",
        source=Source.REPORT,
        types="AWS::RDS::*",
    ),
    signature(
        "engine-downgrade",
        Cause.VERSION,
        r"Cannot upgrade aurora\S* from (?P<old>\S+) to (?P<new>\S+)|requested engine version is lower",
        meaning="The database cannot go from {old} to {new}.",
        remedy="RDS upgraded the cluster, or DbEngineVersion was lowered: set DbEngineVersion to what is running or "
        "later.",
        document="Amazon Aurora User Guide, Upgrading Aurora MySQL",
        source=Source.REPORT,
        types=_RDS,
    ),
    signature(
        "parameter-group-family",
        Cause.VERSION,
        r"DBParameterGroupFamily \S+ (?:cannot|can't) be used for this (?:instance|cluster)|"
        r"ParameterGroupFamily \S+ is not a valid parameter group family",
        meaning="The parameter group belongs to another major version than DbEngineVersion.",
        remedy="8.0.mysql_aurora.* takes the family aurora-mysql8.0, 8.4.* takes aurora-mysql8.4: change both "
        "together.",
        document="Amazon Aurora User Guide, Parameter groups",
        source=Source.REPORT,
        types=_RDS,
    ),
    signature(
        "instance-class",
        Cause.ZONE,
        r"Invalid DB Instance class|RDS does not support creating a DB instance with the following combination|"
        r"DBInstanceClass=?\s?(?P<size>\S+), Engine=|"
        r"Serverless v2 maximum capacity .* isn't available|InsufficientDBInstanceCapacity",
        meaning="This class, engine and version are not offered together here.",
        remedy="See `aws rds describe-orderable-db-instance-options --engine aurora-mysql` for both zones, and change "
        "DbInstanceClass or the zones.",
        document="Amazon Aurora User Guide, Supported DB engines for instance classes",
        source=Source.REPORT,
        types=_RDS,
    ),
    signature(
        "subnet-group-coverage",
        Cause.ZONE,
        r"(?:DB subnet group|DBSubnetGroup) (?:doesn't|does not) meet (?:the )?availability zone (?:\(AZ\) )?coverage|"
        r"subnet group (?:doesn't|does not) have enough availability zones",
        meaning="Aurora needs subnets in two zones that it offers.",
        remedy="FirstZone and SecondZone have to differ, and to be zones in which RDS works.",
        document="Amazon Aurora User Guide, DB subnet groups",
        source=Source.REPORT,
        types=_RDS,
    ),
    signature(
        "database-name-taken",
        Cause.NAME,
        r"DB ?(?:Cluster|Instance) already exists|DBClusterAlreadyExists|DB(?:Cluster|"
        r"Instance)Identifier\W+\S+\W+already exists",
        meaning="A database of this name exists, kept by an earlier environment of the same name.",
        remedy="Decide about its data first. Then rename or delete it in the RDS console, or choose another "
        "Environment name.",
        document="Amazon Aurora User Guide, DB cluster identifiers",
        source=Source.REPORT,
        types=_RDS,
    ),
    signature(
        "snapshot-exists",
        Cause.NAME,
        r"Cannot create the (?:cluster )?snapshot because one with the identifier (?P<name>\S+) already exists|"
        r"DB ?Cluster ?Snapshot\S* already exists",
        meaning="The final snapshot's name is taken by one of an earlier deletion.",
        remedy="Copy or delete the older snapshot in the RDS console, then run the command again.",
        document="Amazon Aurora User Guide, DB cluster snapshots",
        source=Source.KNOWN,
        types=_RDS,
    ),
    signature(
        "database-protected",
        Cause.DATA,
        r"Cannot delete protected (?:Cluster|DB Instance)",
        meaning="The database is protected against deletion. This is meant to hold.",
        remedy="`deploy.py destroy --unprotect`, when its data really may go; a final snapshot is left.",
        document="Amazon Aurora User Guide, Deletion protection",
        source=Source.REPORT,
        types=_RDS,
    ),
    signature(
        "database-busy",
        Cause.IN_USE,
        r"(?:DB|Database) ?(?:cluster|instance)? ?\S* is not in available state|InvalidDB(?:Cluster|"
        r"Instance)State(?:Fault)?|not currently in the available state",
        meaning="The database is doing something else: a backup, a failover, a change of its own.",
        remedy="Wait until it is available (`deploy.py status`), then deploy again.",
        document="Amazon Aurora User Guide, Viewing DB cluster status",
        source=Source.KNOWN,
        types=_RDS,
    ),
    signature(
        "monitoring-role",
        Cause.PERMISSION,
        r"MonitoringRoleARN value is required|"
        r"IAM role ARN value is invalid or does not include the required permissions.*(?:ENHANCED_MONITORING|"
        r"monitoring)",
        meaning="Enhanced monitoring has no role that RDS can use.",
        remedy="The role has to trust monitoring.rds.amazonaws.com; a role that was made a moment ago may need a "
        "second try.",
        document="Amazon Aurora User Guide, Enhanced Monitoring",
        source=Source.REPORT,
        types=_RDS,
    ),
    signature(
        "rds-quota",
        Cause.QUOTA,
        r"(?:DBClusterQuotaExceeded|InstanceQuotaExceeded|you have reached your quota for (?:DB )?(?:cluster|"
        r"instance))",
        meaning="The region's quota of databases is used up.",
        remedy="Raise the quota of DB clusters or DB instances of Amazon RDS in Service Quotas.",
        document="Amazon Aurora User Guide, Quotas",
        source=Source.MODEL,
        types=_RDS,
    ),
    signature(
        "database-cluster-member",
        Cause.INPUT,
        r"DB Instance is a member of a cluster",
        meaning="Aurora has this property at the cluster, not at the instance.",
        remedy="Set the property at AWS::RDS::DBCluster in the generator's database layer and remove it from the "
        "instance.",
        document="AWS CloudFormation User Guide, AWS::RDS::DBInstance",
        source=Source.REPORT,
    ),
    signature(
        "database-cluster-has-instances",
        Cause.IN_USE,
        r"Cluster cannot be deleted, it still contains DB instances",
        meaning="The cluster has an instance that this stack does not own.",
        remedy="List the members with aws rds describe-db-clusters, delete the instance that was created outside "
        "CloudFormation, then repeat the command.",
        document="Amazon Aurora User Guide, Deleting Aurora DB clusters and DB instances",
        source=Source.REPORT,
    ),
    signature(
        "database-insights",
        Cause.INPUT,
        r"Database Insights|Performance Insights not supported|Performance Insights (?:retention|cannot)",
        meaning="The setting of Database Insights or Performance Insights is not possible for this database.",
        remedy="The Advanced mode needs Performance Insights with a retention of 465 days; small instance classes do "
        "not have it. Correct DbInsights or DbInstanceClass.",
        document="Amazon Aurora User Guide, Turning on the Advanced mode of Database Insights",
        source=Source.REPORT,
    ),
    signature(
        "parameter-group-upgrade",
        Cause.VERSION,
        r"must explicitly specify a new DB (?:instance |cluster )?parameter group",
        meaning="A major upgrade needs a parameter group of the new family for the cluster and for each instance.",
        remedy="Set the parameter groups of the new family in the same deployment as DbEngineVersion.",
        document="Amazon Aurora User Guide, Upgrading the major version of an Aurora MySQL DB cluster",
        source=Source.REPORT,
    ),
    signature(
        "database-parameter",
        Cause.INPUT,
        r"parameters are not defined for the specified group: (?P<names>[\w, ]+)|"
        r"parameter value for (?P<changed>\S+) can't be changed for parameter group|"
        r"parameter (?P<fixed>\S+) is not modifiable",
        meaning="The parameter group's family does not have these parameters, or they cannot be changed.",
        remedy="aws rds describe-engine-default-cluster-parameters --db-parameter-group-family FAMILY lists them. "
        "Correct the parameter group in the generator.",
        document="Amazon Aurora User Guide, Parameter groups",
        source=Source.REPORT,
        types="AWS::RDS::*",
    ),
)
