"""The types in which a project declares its workloads, and the functions that load its workloads.py.

workloads.py imports every type from here.
"""

from generator.edge_settings import Edge
from generator.workloads.base import DATABASE_SECRETS, DATABASE_VARIABLES, Workload
from generator.workloads.checks import check_name
from generator.workloads.egress import Egress
from generator.workloads.functions import Function, resolve_functions
from generator.workloads.jobs import Job
from generator.workloads.loading import (
    FILE,
    WORKLOADS,
    load,
    load_edge,
    load_functions,
    load_parts,
    load_stores,
    workloads_value,
)
from generator.workloads.resolution import image_owners, resolve
from generator.workloads.schemas import OwnSchema
from generator.workloads.services import EcsService, HealthCheck, InternalService, Scaling, WebService, Worker
from generator.workloads.stores import Bucket, Mount, Queue, Read, ReadWrite, Receive, Send, Store, Use, Volume
from generator.workloads.values import (
    PER_ENVIRONMENT,
    AddressOf,
    BucketName,
    DatabasePassword,
    DatabaseUsername,
    Existing,
    Fact,
    Generated,
    QueueUrl,
    RootParameter,
    Secret,
    StoredSecret,
    StoreValue,
    Supplied,
    Text,
    Variable,
)

__all__ = [
    "DATABASE_SECRETS",
    "DATABASE_VARIABLES",
    "FILE",
    "PER_ENVIRONMENT",
    "WORKLOADS",
    "AddressOf",
    "Bucket",
    "BucketName",
    "DatabasePassword",
    "DatabaseUsername",
    "EcsService",
    "Edge",
    "Egress",
    "Existing",
    "Fact",
    "Function",
    "Generated",
    "HealthCheck",
    "InternalService",
    "Job",
    "Mount",
    "OwnSchema",
    "Queue",
    "QueueUrl",
    "Read",
    "ReadWrite",
    "Receive",
    "RootParameter",
    "Scaling",
    "Secret",
    "Send",
    "Store",
    "StoreValue",
    "StoredSecret",
    "Supplied",
    "Text",
    "Use",
    "Variable",
    "Volume",
    "WebService",
    "Worker",
    "Workload",
    "check_name",
    "image_owners",
    "load",
    "load_edge",
    "load_functions",
    "load_parts",
    "load_stores",
    "resolve",
    "resolve_functions",
    "workloads_value",
]
