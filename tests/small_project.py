"""A small project of the same shape as the real one, for tests of deploying: quick, and easy to break on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DIGEST = "sha256:" + "0" * 64
IMAGE = f"public.ecr.aws/nginx/nginx@{DIGEST}"
PROJECT = {"Type": "String", "Default": "shop", "AllowedPattern": "[a-z][a-z0-9-]{1,19}"}
STRING = {"Type": "String"}


def template(resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources, **more}


def topic(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SNS::Topic", "Properties": properties}


def nested(key: str, **parameters: Any) -> dict[str, Any]:
    """Return a nested stack. Without a key it is the only workload, with a template of its own."""
    bucket = "https://${ArtifactBucket}.s3.${AWS::Region}.${AWS::URLSuffix}"
    digest = {"Digest": {"Fn::Select": [0, {"Ref": "WorkloadTemplates"}]}}
    address: Any = f"{bucket}/${{{key}}}" if key else [f"{bucket}/templates/workload-frontend/${{Digest}}.json", digest]
    return {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": {"Fn::Sub": address}, "Parameters": parameters},
    }


def templates() -> dict[str, dict[str, Any]]:
    """Fresh copies, for a test to change."""
    names = ["Network", "Operations"]
    return {
        "bootstrap.json": template(
            {"Bucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {}}},
            Parameters={"Project": PROJECT},
            Outputs={"ArtifactBucket": {"Value": {"Ref": "Bucket"}}},
        ),
        "edge.json": template(
            {"EdgeTopic": topic(DisplayName={"Ref": "EdgeName"})},
            Parameters={"Project": PROJECT, "EdgeName": {"Type": "String", "Default": "edge"}},
            Outputs={"EdgeTopicArn": {"Value": {"Ref": "EdgeTopic"}}},
        ),
        "root.json": template(
            {
                "NetworkStack": nested("NetworkTemplateKey", Size={"Ref": "Size"}),
                "FrontendServiceStack": nested(
                    "",
                    TopicArn={"Fn::GetAtt": ["NetworkStack", "Outputs.TopicArn"]},
                    Image={"Ref": "FrontendImage"},
                ),
                "OperationsStack": nested(
                    "OperationsTemplateKey",
                    TopicArn={"Fn::GetAtt": ["NetworkStack", "Outputs.TopicArn"]},
                    Note={"Ref": "Note"},
                    EdgeTopicArn={"Ref": "EdgeTopicArn"},
                ),
            },
            Metadata={"Services": ["Frontend"]},
            Parameters={
                "Project": PROJECT,
                "Environment": {"Type": "String", "AllowedValues": ["dev", "prod"]},
                "ArtifactBucket": STRING,
                **{f"{name}TemplateKey": STRING for name in names},
                "HelloCodeKey": STRING,
                "ServiceIsNew": {"Type": "CommaDelimitedList"},
                "WorkloadTemplates": {"Type": "CommaDelimitedList"},
                "EdgeTopicArn": STRING,
                "FrontendImage": STRING,
                "DomainName": {"Type": "String", "Default": ""},
                "OriginCertificateArn": {"Type": "String", "Default": ""},
                "Size": {
                    "Type": "Number",
                    "MinValue": 1,
                    "MaxValue": 9,
                    "Default": 2,
                    "ConstraintDescription": "a number from 1 to 9",
                },
                "Note": {"Type": "String", "Default": "hello"},
                "SlackWorkspaceId": {"Type": "String", "Default": "", "AllowedPattern": "|T[A-Z0-9]+"},
                "SlackChannelId": {"Type": "String", "Default": "", "AllowedPattern": "|C[A-Z0-9]+"},
                "DeletionProtection": {"Type": "String", "Default": "false", "AllowedValues": ["true", "false"]},
            },
            Rules={
                "SlackIds": {
                    "Assertions": [
                        {
                            "Assert": {
                                "Fn::Equals": [
                                    {"Fn::Equals": [{"Ref": "SlackWorkspaceId"}, ""]},
                                    {"Fn::Equals": [{"Ref": "SlackChannelId"}, ""]},
                                ]
                            },
                            "AssertDescription": "Slack needs both ids or neither",
                        }
                    ]
                },
                "ProductionHasAddress": {
                    "RuleCondition": {"Fn::Equals": [{"Ref": "Environment"}, "prod"]},
                    "Assertions": [
                        {
                            "Assert": {
                                "Fn::Or": [
                                    {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]},
                                    {"Fn::Not": [{"Fn::Equals": [{"Ref": "OriginCertificateArn"}, ""]}]},
                                ]
                            },
                            "AssertDescription": "prod needs a domain or a certificate",
                        }
                    ],
                },
            },
            Outputs={"SiteUrl": {"Value": {"Fn::Sub": "https://${AWS::StackName}.example.com"}}},
        ),
        "network.json": template(
            {"Topic": topic(DisplayName={"Ref": "Size"})},
            Parameters={"Size": STRING},
            Outputs={"TopicArn": {"Value": {"Ref": "Topic"}}},
        ),
        "workload-frontend.json": template(
            {"Topic": topic(DisplayName={"Ref": "Image"})}, Parameters={"TopicArn": STRING, "Image": STRING}
        ),
        "operations.json": template(
            {
                "Data": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {}},
                "Topic": topic(DisplayName={"Ref": "Note"}),
            },
            Parameters={"TopicArn": STRING, "Note": STRING, "EdgeTopicArn": STRING},
        ),
        "edge-monitoring.json": template(
            {"Watch": topic(DisplayName={"Ref": "SiteUrl"})},
            Parameters={"Project": PROJECT, "SiteUrl": STRING, "EdgeTopicArn": STRING},
        ),
    }


def parameters(account: str | None = None, **values: str) -> dict[str, Any]:
    guard = {"Account": account} if account else {}
    given = {"FrontendImage": IMAGE, **values}
    return {**guard, "Region": "ap-northeast-1", "Parameters": given, "Tags": {"Team": "web"}}


def write(
    root: Path, *, account: str | None = None, changed: dict[str, dict[str, Any]] | None = None, **values: str
) -> Path:
    """Write the project into `root`, with dev and prod, and return `root`."""
    for folder in ("templates", "params", "lambda/hello"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, body in {**templates(), **(changed or {})}.items():
        (root / "templates" / name).write_text(json.dumps(body, indent=2) + "\n")
    (root / "params" / "dev.json").write_text(json.dumps(parameters(account, **values), indent=2))
    prod = parameters(account, **{"DomainName": "shop.example.com", **values})
    (root / "params" / "prod.json").write_text(json.dumps(prod, indent=2))
    (root / "lambda" / "hello" / "index.py").write_text("def handler(event, context):\n    return event\n")
    return root
