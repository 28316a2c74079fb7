"""Archive: the delivery of log records to S3 and Glacier: Firehose, and the function that transforms records.

The layer ``security`` contains the bucket, ``service`` the subscription of the app's log group, and ``operations`` all
other subscriptions and the alarms. So a layer that only has a log group does not wait for this one.
"""

from awacs import awslambda as lambda_actions
from awacs import firehose as firehose_actions
from awacs import kms as kms_actions
from awacs import logs as logs_actions
from awacs import s3 as s3_actions
from awacs.aws import Statement, StringEquals
from troposphere import Join, Sub, Template
from troposphere.awslambda import Function
from troposphere.firehose import (
    BufferingHints,
    CloudWatchLoggingOptions,
    DeliveryStream,
    DeliveryStreamEncryptionConfigurationInput,
    EncryptionConfiguration,
    ExtendedS3DestinationConfiguration,
    KMSEncryptionConfig,
    ProcessingConfiguration,
    Processor,
    ProcessorParameter,
)
from troposphere.iam import ManagedPolicy, Role
from troposphere.logs import LogGroup, LogStream

from generator import value_types as v
from generator.resources import iam
from generator.resources.lambda_functions import AddedFunction, FunctionInputs, Size, add_function
from generator.resources.logs import log_group
from generator.wiring import FrozenConfig, Layer, StackInterface


class Config(FrozenConfig):
    """Buffers of Firehose. Larger objects are cheaper in Glacier, which adds 40 KB of overhead to each object."""

    buffer_mb: int = 64
    buffer_seconds: int = 900
    # 1 MB of compressed log can contain 15 MB of text, and the response of the function is limited to 6 MB.
    batch_mb: int = 1
    processor: Size = Size(memory=512, timeout=60)


class Inputs(FunctionInputs):
    """Parameters of the nested stack."""

    archive_bucket_name: v.ArchiveBucketName
    log_processor_code_key: v.LogProcessorCodeKey


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    archive_stream_arn: v.ArchiveStreamArn
    archive_stream_name: v.ArchiveStreamName
    subscription_role_arn: v.SubscriptionRoleArn
    log_processor_name: v.LogProcessorName
    log_processor_log_group_name: v.LogProcessorLogGroupName
    delivery_log_group_name: v.DeliveryLogGroupName


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the Firehose stream with its function, log group and role, and the role of the subscriptions."""
    added = add_log_processor(t, config, inputs)
    processor, processor_group = added.function, added.log_group
    group = t.add_resource(log_group("DeliveryLogGroup", Sub("/aws/kinesisfirehose/${Prefix}-archive"), inputs.logs))
    log_stream = t.add_resource(LogStream("DeliveryLogStream", LogGroupName=group.ref(), LogStreamName="delivery"))
    role = t.add_resource(
        iam.service_role(
            "DeliveryRole",
            "firehose",
            # Firehose sends it (AWS CloudFormation Template Reference, AWS::KinesisFirehose::DeliveryStream, Examples).
            StringEquals("sts:ExternalId", iam.ACCOUNT),
            description="Permissions of Firehose to deliver to the archive.",
        )
    )
    policy = t.add_resource(delivery_policy(inputs, role, processor, group))
    stream = t.add_resource(delivery_stream(config, inputs, role, policy, processor, group, log_stream))
    subscription_role = add_subscription_role(t, inputs, stream)
    return Outputs(
        archive_stream_arn=v.ArchiveStreamArn(stream.get_att("Arn")),
        archive_stream_name=v.ArchiveStreamName(stream.ref()),
        subscription_role_arn=v.SubscriptionRoleArn(subscription_role.get_att("Arn")),
        log_processor_name=v.LogProcessorName(processor.ref()),
        log_processor_log_group_name=v.LogProcessorLogGroupName(processor_group.ref()),
        delivery_log_group_name=v.DeliveryLogGroupName(group.ref()),
    )


def add_log_processor(t: Template, config: Config, inputs: Inputs) -> AddedFunction:
    """Add the function that transforms log records and removes secrets from them."""
    return add_function(
        t,
        "LogProcessor",
        inputs,
        does="turns batches of log events into archive lines, without secrets",
        code=inputs.log_processor_code_key,
        size=config.processor,
        statements=[],
        environment={"REDACT": "all"},
        without_queue="Firehose waits for its response, retries failed records, and stores the rest under errors/.",
    )


def delivery_policy(inputs: Inputs, role: Role, processor: Function, group: LogGroup) -> ManagedPolicy:
    """Return the permissions of the Firehose stream: archive bucket, key, function and its own log group."""
    return iam.attach_policy(
        "DeliveryPolicy",
        role,
        iam.allow(
            "WriteArchive",
            [s3_actions.PutObject, s3_actions.GetObject, s3_actions.AbortMultipartUpload],
            [Sub("arn:${AWS::Partition}:s3:::${ArchiveBucketName}/*")],
        ),
        iam.allow(
            "ListArchive",
            [s3_actions.ListBucket, s3_actions.GetBucketLocation, s3_actions.ListBucketMultipartUploads],
            [Sub("arn:${AWS::Partition}:s3:::${ArchiveBucketName}")],
        ),
        allow_key_usage("EncryptArchive", inputs),
        iam.allow(
            "TransformRecords",
            [lambda_actions.InvokeFunction, lambda_actions.GetFunctionConfiguration],
            # Firehose invokes the function by its qualified ARN.
            [processor.get_att("Arn"), Join(":", [processor.get_att("Arn"), "*"])],
        ),
        iam.allow("WriteDeliveryErrors", [logs_actions.PutLogEvents], [group.get_att("Arn")]),
        description="Transform records, write them to the archive, and say what failed.",
    )


def allow_key_usage(sid: str, inputs: Inputs) -> Statement:
    """Allow encryption and decryption with the telemetry key."""
    return iam.allow(sid, [kms_actions.Decrypt, kms_actions.GenerateDataKey], [inputs.logs.telemetry_key_arn])


def delivery_stream(
    config: Config,
    inputs: Inputs,
    role: Role,
    policy: ManagedPolicy,
    processor: Function,
    group: LogGroup,
    log_stream: LogStream,
) -> DeliveryStream:
    """Return the Firehose stream, without compression.

    The function returns gzip members. Their concatenation is one valid gzip file.
    """
    return DeliveryStream(
        "ArchiveStream",
        DeliveryStreamType="DirectPut",
        DeliveryStreamEncryptionConfigurationInput=DeliveryStreamEncryptionConfigurationInput(
            KeyType="CUSTOMER_MANAGED_CMK", KeyARN=inputs.logs.telemetry_key_arn
        ),
        ExtendedS3DestinationConfiguration=ExtendedS3DestinationConfiguration(
            BucketARN=Sub("arn:${AWS::Partition}:s3:::${ArchiveBucketName}"),
            RoleARN=role.get_att("Arn"),
            Prefix="logs/!{timestamp:yyyy/MM/dd}/",
            ErrorOutputPrefix="errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/",
            CustomTimeZone="Asia/Tokyo",
            CompressionFormat="UNCOMPRESSED",
            FileExtension=".json.gz",
            BufferingHints=BufferingHints(SizeInMBs=config.buffer_mb, IntervalInSeconds=config.buffer_seconds),
            EncryptionConfiguration=EncryptionConfiguration(
                KMSEncryptionConfig=KMSEncryptionConfig(AWSKMSKeyARN=inputs.logs.telemetry_key_arn)
            ),
            CloudWatchLoggingOptions=CloudWatchLoggingOptions(
                Enabled=True, LogGroupName=group.ref(), LogStreamName=log_stream.ref()
            ),
            ProcessingConfiguration=ProcessingConfiguration(
                Enabled=True, Processors=[Processor(Type="Lambda", Parameters=processor_parameters(config, processor))]
            ),
        ),
        DependsOn=[policy],
    )


def processor_parameters(config: Config, processor: Function) -> list[ProcessorParameter]:
    values = {
        "LambdaArn": Join(":", [processor.get_att("Arn"), "$LATEST"]),
        "BufferSizeInMBs": str(config.batch_mb),
        "BufferIntervalInSeconds": "60",
        "NumberOfRetries": "3",
    }
    return [ProcessorParameter(ParameterName=name, ParameterValue=value) for name, value in values.items()]


def add_subscription_role(t: Template, inputs: Inputs, stream: DeliveryStream) -> Role:
    """Add the role with which CloudWatch Logs writes to the stream."""
    role = t.add_resource(
        iam.service_role(
            "SubscriptionRole",
            "logs",
            # CloudWatch Logs sends the ARN of the log group without ":*", so a pattern with it would never match.
            iam.source_arn_condition("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:*"),
            description="Permissions of CloudWatch Logs to write to the archive stream.",
        )
    )
    t.add_resource(
        iam.attach_policy(
            "SubscriptionPolicy",
            role,
            iam.allow(
                "WriteToStream", [firehose_actions.PutRecord, firehose_actions.PutRecordBatch], [stream.get_att("Arn")]
            ),
            # Since April 2026 Firehose requires it of every principal that writes to a stream with a customer managed
            # key (AWS Health, "Enhanced security controls for Amazon Data Firehose"). Without it CloudWatch Logs cannot
            # send its test message, and rejects the subscription.
            allow_key_usage("EncryptRecords", inputs),
            description="Write to the archive stream, under its key.",
        )
    )
    return role


LAYER = Layer("Archive", "Archive: Firehose and the function that transforms log records.", Inputs, Outputs, build)
