"""A chain of small templates, in the shape of the real one, that the tests of the analysis change at will."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SMALL: dict[str, dict[str, Any]] = {
    "bootstrap.json": {
        "Parameters": {"Project": {"Type": "String"}},
        "Resources": {"ArtifactBucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"}},
        "Outputs": {"ArtifactBucket": {"Value": {"Ref": "ArtifactBucket"}}},
    },
    "edge.json": {
        "Parameters": {"Project": {"Type": "String"}},
        "Resources": {"EdgeTopic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"EdgeTopicArn": {"Value": {"Ref": "EdgeTopic"}}},
    },
    "edge-monitoring.json": {
        "Parameters": {"SiteName": {"Type": "String"}},
        "Resources": {
            "SiteGroup": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {"LogGroupName": {"Fn::Sub": "${SiteName}-site"}},
            }
        },
    },
    "network.json": {
        "Parameters": {"VpcCidr": {"Type": "String"}},
        "Resources": {
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Ref": "VpcCidr"}}},
            "AppSubnet": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {
                    "VpcId": {"Ref": "Vpc"},
                    "CidrBlock": {"Fn::Select": [1, {"Fn::Cidr": [{"Ref": "VpcCidr"}, 4, 8]}]},
                    "AvailabilityZone": {"Fn::Sub": "${AWS::Region}a"},
                },
            },
        },
        "Outputs": {
            "VpcId": {"Value": {"Ref": "Vpc"}},
            "SubnetIds": {"Value": {"Fn::Join": [",", [{"Ref": "AppSubnet"}, "subnet-other"]]}},
        },
    },
    "service.json": {
        "Parameters": {
            "VpcId": {"Type": "String"},
            "SubnetIds": {"Type": "CommaDelimitedList"},
            "Name": {"Type": "String"},
            "Days": {"Type": "String"},
            "Archive": {"Type": "String", "AllowedValues": ["true", "false"]},
        },
        "Conditions": {"Archives": {"Fn::Equals": [{"Ref": "Archive"}, "true"]}},
        "Mappings": {"Sizes": {"web": {"Port": 8080}}},
        "Resources": {
            "Group": {
                "Type": "AWS::Logs::LogGroup",
                "Properties": {
                    "LogGroupName": {"Ref": "Name"},
                    "RetentionInDays": {"Ref": "Days"},
                    "KmsKeyId": {"Fn::If": ["Archives", "arn:aws:kms:key", {"Ref": "AWS::NoValue"}]},
                },
            },
            "ArchiveTopic": {"Type": "AWS::SNS::Topic", "Condition": "Archives"},
            "Members": {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {"GroupDescription": "members", "VpcId": {"Ref": "VpcId"}},
            },
        },
        "Outputs": {
            "GroupArn": {"Value": {"Fn::GetAtt": ["Group", "Arn"]}},
            "ArchiveArn": {"Condition": "Archives", "Value": {"Ref": "ArchiveTopic"}},
        },
    },
    "root.json": {
        "Metadata": {"Services": ["Frontend"]},
        "Parameters": {
            "ArtifactBucket": {"Type": "String"},
            "NetworkTemplateKey": {"Type": "String"},
            "ServiceTemplateKey": {"Type": "String"},
            "Project": {"Type": "String", "AllowedPattern": "[a-z]+"},
            "EdgeTopicArn": {"Type": "String"},
            "ServiceIsNew": {"Type": "CommaDelimitedList"},
            "LogRetentionDays": {"Type": "Number", "Default": 3},
            "Archive": {"Type": "String", "Default": "false"},
        },
        "Rules": {
            "ArchiveKeepsLonger": {
                "RuleCondition": {"Fn::Equals": [{"Ref": "Archive"}, "true"]},
                "Assertions": [
                    {
                        "Assert": {"Fn::Contains": [["14", "30"], {"Ref": "LogRetentionDays"}]},
                        "AssertDescription": "archived logs are kept for 14 or 30 days",
                    }
                ],
            }
        },
        "Resources": {
            "FrontendServiceStack": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {
                    "TemplateURL": {"Fn::Sub": "https://${ArtifactBucket}.s3.amazonaws.com/${ServiceTemplateKey}"},
                    "Parameters": {
                        "VpcId": {"Fn::GetAtt": ["NetworkStack", "Outputs.VpcId"]},
                        "SubnetIds": {"Fn::GetAtt": ["NetworkStack", "Outputs.SubnetIds"]},
                        "Name": {"Fn::Sub": "${Project}-${AWS::Region}-frontend"},
                        "Days": {"Ref": "LogRetentionDays"},
                        "Archive": {"Ref": "Archive"},
                    },
                },
            },
            "NetworkStack": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {
                    "TemplateURL": {"Fn::Sub": "https://${ArtifactBucket}.s3.amazonaws.com/${NetworkTemplateKey}"},
                    "Parameters": {"VpcCidr": "10.0.0.0/16"},
                },
            },
        },
        "Outputs": {"SiteName": {"Value": {"Fn::GetAtt": ["FrontendServiceStack", "Outputs.GroupArn"]}}},
    },
}


@pytest.fixture
def small() -> dict[str, dict[str, Any]]:
    """The bodies, the test's own to change."""
    copy: dict[str, dict[str, Any]] = json.loads(json.dumps(SMALL))
    return copy


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[dict[str, dict[str, Any]]], Path]:
    """Writes bodies as a templates folder."""

    def write(bodies: dict[str, dict[str, Any]]) -> Path:
        target = tmp_path / "templates"
        target.mkdir()
        for name, body in bodies.items():
            (target / name).write_text(json.dumps(body))
        return target

    return write
