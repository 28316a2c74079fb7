"""Which resources hold data: what is lost with them cannot be made again from the templates."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.tokens import Json

_HOLDS_DATA = frozenset(
    {
        "AWS::Cognito::UserPool",
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::ECR::Repository",
        "AWS::EFS::FileSystem",
        "AWS::ElastiCache::ReplicationGroup",
        # What it encrypted can be read by nobody afterwards.
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::OpenSearchService::Domain",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::SecretsManager::Secret",
    }
)


def holds_data(kind: str, properties: Mapping[str, Json]) -> bool:
    """An instance of Aurora holds none: the data is in its cluster."""
    return kind in _HOLDS_DATA and not (kind == "AWS::RDS::DBInstance" and "DBClusterIdentifier" in properties)
