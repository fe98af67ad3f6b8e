"""What AWS refuses, as far as that can be tried without harm: one table, for the emulated AWS and for the real one.

`REFUSALS` are calls that the emulation refuses with a code that AWS is believed to use. Each is about what the stack
has made, or about two target groups of the replay's own, which cost nothing and are deleted again. Names and tags are
such that `docs/iam-policy.json` allows the calls: a missing permission would hide AWS's own refusal.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from lls.config import Config
from lls.instances import FILTER_VALUES
from lls.operations.world.account import Account, AwsError
from lls.operations.world.inventory import TAGS_AT_ONCE, alias_change

Arguments = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What the refusals are tried on. Ids are of what the stack has made, but for those of the network.

    `token` is in the names of all that a refusal could make. `inside` is an address of the load balancer's subnet,
    `second_subnet_id` another subnet of its zone, `address` the Elastic IP that the stack made, `record` what the
    program gave for its DNS record; the last three are empty where there is none. `rule` is what an ingress rule of
    the security group lets in, as EC2 is asked for it.
    `udp_targets` and `instance_targets` are the replay's own target groups. `own` are the ids of all this.
    """

    account: Account
    config: Config
    token: str
    vpc_id: str
    subnet_id: str
    second_subnet_id: str
    inside: str
    balancer: str
    target_group: str
    group: str
    rule: Arguments
    address: str
    record: Arguments
    udp_targets: str
    instance_targets: str
    own: frozenset[str]

    @property
    def free_port(self) -> int:
        """A port on which the load balancer has no listener."""
        return self.config.udp_port % 65535 + 1

    @property
    def tags(self) -> list[dict[str, str]]:
        """Tags by which `sweep` knows what a killed run would leave."""
        return _pairs(self.config.names.tags(self.token, {}))

    def call(self, service: str, operation: str, **arguments: Any) -> Any:
        """AWS's answer. Raises AwsError."""
        return self.account.call(service, operation, **arguments)


Call = Callable[[Grounds], Arguments]
"""The arguments of a call, as they are on some grounds."""


@dataclass(frozen=True)
class Undo:
    """What takes back a call that AWS, against expectation, did: in words, and by its arguments and its answer."""

    text: str
    call: Callable[[Grounds, Arguments, Any], None]


@dataclass(frozen=True)
class Operation:
    """An operation of AWS, as boto3 names it, and what takes it back."""

    service: str
    name: str
    undo: Undo


@dataclass(frozen=True)
class Need:
    """What a stack, or its network, may lack: in words, and its id, empty where it is missing."""

    text: str
    id: Callable[[Grounds], str]


@dataclass(frozen=True)
class Refusal:
    """A call, and the code that AWS is believed to refuse it with.

    `harmless` says why trying it does no harm; `around` holds while it is tried; without what it `needs` it cannot be.
    """

    name: str
    operation: Operation
    arguments: Call
    code: str
    harmless: str
    around: Callable[[Grounds], AbstractContextManager[object]] = nullcontext
    needs: Need | None = None


# --- Operations, and what takes them back


def _creation(service: str, kind: str, key: str, path: str = "") -> Operation:
    """The creation of something whose id is under `key` in the answer, or in the first of what is under `path`."""

    def delete(grounds: Grounds, _: Arguments, answer: Any) -> None:
        id_ = (answer[path][0] if path else answer)[key]
        if id_ not in grounds.own:  # some creations answer with what is there
            grounds.call(service, f"delete_{kind}", **{key: id_})

    return Operation(service, f"create_{kind}", Undo(f"the new {kind.replace('_', ' ')} is deleted", delete))


def _leave(grounds: Grounds, arguments: Arguments, answer: Any) -> None:
    pass


def _revoke(grounds: Grounds, arguments: Arguments, answer: Any) -> None:
    new = {rule["SecurityGroupRuleId"] for rule in answer["SecurityGroupRules"]} - grounds.own
    if new:
        grounds.call(
            "ec2", "revoke_security_group_ingress", GroupId=arguments["GroupId"], SecurityGroupRuleIds=sorted(new)
        )


def _untag(grounds: Grounds, arguments: Arguments, _: Any) -> None:
    keys = [{"Key": tag["Key"]} for tag in arguments["Tags"]]
    grounds.call("ec2", "delete_tags", Resources=arguments["Resources"], Tags=keys)


def _regroup(grounds: Grounds, arguments: Arguments, _: Any) -> None:
    balancer = arguments["LoadBalancerArn"]
    grounds.call("elbv2", "set_security_groups", LoadBalancerArn=balancer, SecurityGroups=[grounds.group])


def _unmake_record(grounds: Grounds, arguments: Arguments, _: Any) -> None:
    [change] = arguments["ChangeBatch"]["Changes"]
    batch = {"Changes": [change | {"Action": "DELETE"}]}
    grounds.call("route53", "change_resource_record_sets", HostedZoneId=arguments["HostedZoneId"], ChangeBatch=batch)


def _delete_alarm(grounds: Grounds, arguments: Arguments, _: Any) -> None:
    grounds.call("cloudwatch", "delete_alarms", AlarmNames=[arguments["AlarmName"]])


def _delete_dashboard(grounds: Grounds, arguments: Arguments, _: Any) -> None:
    grounds.call("cloudwatch", "delete_dashboards", DashboardNames=[arguments["DashboardName"]])


ASKED: Final = Undo("nothing is to be taken back: it only asks", _leave)
OF_THE_STACK: Final = Undo("nothing is taken back: the stack is the run's own, and destroyed soon", _leave)
OF_THE_REPLAY: Final = Undo("nothing is taken back: the target group is the replay's own, and deleted soon", _leave)

CREATE_GROUP: Final = _creation("ec2", "security_group", "GroupId")
CREATE_BALANCER: Final = _creation("elbv2", "load_balancer", "LoadBalancerArn", "LoadBalancers")
CREATE_TARGET_GROUP: Final = _creation("elbv2", "target_group", "TargetGroupArn", "TargetGroups")
CREATE_LISTENER: Final = _creation("elbv2", "listener", "ListenerArn", "Listeners")
AUTHORIZE: Final = Operation("ec2", "authorize_security_group_ingress", Undo("the new rule is revoked", _revoke))
CREATE_TAGS: Final = Operation("ec2", "create_tags", Undo("the new tags are deleted", _untag))
SET_GROUPS: Final = Operation(
    "elbv2", "set_security_groups", Undo("the load balancer gets its security group back", _regroup)
)
CREATE_RECORD: Final = Operation(
    "route53", "change_resource_record_sets", Undo("the new record is deleted", _unmake_record)
)
DELETE_RECORD: Final = Operation(
    "route53", "change_resource_record_sets", Undo("nothing is taken back: there was no such record", _leave)
)
DELETE_GROUP: Final = Operation("ec2", "delete_security_group", OF_THE_STACK)
DELETE_BALANCER: Final = Operation("elbv2", "delete_load_balancer", OF_THE_STACK)
DELETE_TARGET_GROUP: Final = Operation("elbv2", "delete_target_group", OF_THE_STACK)
RELEASE: Final = Operation("ec2", "release_address", OF_THE_STACK)
REGISTER: Final = Operation("elbv2", "register_targets", OF_THE_REPLAY)
ADD_TAGS: Final = Operation("elbv2", "add_tags", OF_THE_REPLAY)
TELL_TAGS: Final = Operation("elbv2", "describe_tags", ASKED)
TELL_INSTANCES: Final = Operation("ec2", "describe_instances", ASKED)
TELL_PREFIX_LIST: Final = Operation("ec2", "get_managed_prefix_list_entries", ASKED)
PUT_ALARM: Final = Operation("cloudwatch", "put_metric_alarm", Undo("the new alarm is deleted", _delete_alarm))
DELETE_ALARMS: Final = Operation("cloudwatch", "delete_alarms", Undo("nothing is there to be taken back", _leave))
PUT_DASHBOARD: Final = Operation("cloudwatch", "put_dashboard", Undo("the new dashboard is deleted", _delete_dashboard))
TELL_DASHBOARD: Final = Operation("cloudwatch", "get_dashboard", ASKED)
TELL_ALARM_TAGS: Final = Operation("cloudwatch", "list_tags_for_resource", ASKED)


@contextmanager
def _protected(grounds: Grounds) -> Generator[None]:
    """Hold the stack's load balancer under deletion protection."""

    def protect(value: str) -> None:
        attributes = [{"Key": "deletion_protection.enabled", "Value": value}]
        grounds.call(
            "elbv2", "modify_load_balancer_attributes", LoadBalancerArn=grounds.balancer, Attributes=attributes
        )

    protect("true")
    try:
        yield
    finally:
        try:
            protect("false")
        except AwsError as error:
            if not error.is_gone:
                raise


OWN_ADDRESS: Final = Need("an Elastic IP that the stack made (lls:staticIp)", lambda grounds: grounds.address)
OWN_RECORD: Final = Need(
    "a DNS record that the stack made (lls:dnsName)", lambda grounds: grounds.record.get("name", "")
)
SECOND_SUBNET: Final = Need("another subnet in the load balancer's zone", lambda grounds: grounds.second_subnet_id)


# --- Arguments

LONG: Final = 33
"""Characters: one more than the name of a load balancer or of a target group may have."""

OUTSIDE: Final = "192.0.2.1"
"""An address of RFC 5737, for documentation: in no VPC."""


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


MANY_TAGS: Final = _pairs({f"e2e:{number}": "" for number in range(51)})
RESERVED_TAG: Final = _pairs({"aws:e2e": ""})


def _but(base: Call, change: Call) -> Call:
    return lambda grounds: base(grounds) | change(grounds)


def _filled(start: str) -> str:
    return start + "x" * (LONG - len(start))


def _balancer(**changes: Any) -> Call:
    """An internal load balancer of a name of the replay's own: were it made, nobody could reach it."""
    return lambda grounds: {
        "Name": f"rp-public-{grounds.token}",
        "Type": "network",
        "Scheme": "internal",
        "SubnetMappings": [{"SubnetId": grounds.subnet_id}],
        "SecurityGroups": [grounds.group],
        "Tags": grounds.tags,
        **changes,
    }


def _balancer_called(name: Callable[[Grounds], str]) -> Call:
    return _but(_balancer(), lambda grounds: {"Name": name(grounds)})


def _balancer_with(allocation_id: Callable[[Grounds], str]) -> Call:
    """One with an Elastic IP, which an internal load balancer cannot have."""
    return _but(
        _balancer(Scheme="internet-facing"),
        lambda grounds: {
            "SubnetMappings": [{"SubnetId": grounds.subnet_id, "AllocationId": allocation_id(grounds)}],
        },
    )


def new_target_group(**changes: Any) -> Call:
    """A target group of a name of the replay's own."""
    return lambda grounds: {
        "Name": f"{grounds.token}-x-rp-tg",
        "Protocol": "UDP",
        "Port": 30504,
        "VpcId": grounds.vpc_id,
        "TargetType": "ip",
        "HealthCheckProtocol": "TCP",
        "Tags": grounds.tags,
        **changes,
    }


def target_group_called(name: Callable[[Grounds], str], **changes: Any) -> Call:
    """The same of another name."""
    return _but(new_target_group(**changes), lambda grounds: {"Name": name(grounds)})


def _listener(**changes: Any) -> Call:
    """A listener of the stack's load balancer on a free port, to the replay's own target group."""
    return lambda grounds: {
        "LoadBalancerArn": grounds.balancer,
        "Protocol": "UDP",
        "Port": grounds.free_port,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": grounds.udp_targets}],
        "Tags": grounds.tags,
        **changes,
    }


def _group(name: Callable[[Grounds], str], description: str = "e2e") -> Call:
    return lambda grounds: {
        "GroupName": name(grounds),
        "Description": description,
        "VpcId": grounds.vpc_id,
        "TagSpecifications": [{"ResourceType": "security-group", "Tags": grounds.tags}],
    }


def _rule(description: str, permission: Call) -> Call:
    """An ingress rule of the stack's security group; the one source of what it permits gets a description."""

    def arguments(grounds: Grounds) -> Arguments:
        permitted = permission(grounds)
        [kind] = permitted.keys() & {"IpRanges", "PrefixListIds"}
        described = {**permitted[kind][0], "Description": description}
        return {"GroupId": grounds.group, "IpPermissions": [permitted | {kind: [described]}]}

    return arguments


def _udp_target(**target: Any) -> Call:
    return lambda grounds: {"TargetGroupArn": grounds.udp_targets, "Targets": [{"Id": grounds.inside, **target}]}


def _instance_target(**target: Any) -> Call:
    return lambda grounds: {"TargetGroupArn": grounds.instance_targets, "Targets": [{"Id": grounds.inside, **target}]}


def _alias(action: str, change: Call = lambda _: {}) -> Call:
    """The stack's own record, or one like it."""
    return lambda grounds: alias_change(action, grounds.record | change(grounds))


def _other_name(grounds: Grounds) -> Arguments:
    return {"name": f"{grounds.token}.{grounds.record['name']}"}


def _other_alias(change: Call) -> Call:
    """A new record of a name of the replay's own, with another target."""

    def record(grounds: Grounds) -> Arguments:
        [alias] = grounds.record["aliases"]
        return _other_name(grounds) | {"aliases": [alias | change(grounds)]}

    return _alias("CREATE", record)


def _alarm(**changes: Any) -> Call:
    """An alarm of a name of the replay's own, that notifies nobody."""
    return lambda grounds: {
        "AlarmName": f"{grounds.token}-lls-x",
        "Namespace": "AWS/NetworkELB",
        "MetricName": "HealthyHostCount",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "LessThanThreshold",
        "Tags": grounds.tags,
        **changes,
    }


def _alarm_elsewhere(grounds: Grounds) -> Arguments:
    """It would notify a topic of another region."""
    region = "us-east-1" if grounds.config.region != "us-east-1" else "us-east-2"
    return _alarm(AlarmActions=[f"arn:aws:sns:{region}:123456789012:nobody"])(grounds)


def _dashboard(body: str) -> Call:
    return lambda grounds: {"DashboardName": f"{grounds.token}-lls-x", "DashboardBody": body}


def _numbered(arn: str, number: int = 0) -> str:
    """An ARN of the same form, of nothing."""
    return f"{arn[:-16]}{number:016x}"


# --- The table

MALFORMED: Final = "it is refused for its form, before anything is made"
ABSENT: Final = "it refers to something that does not exist"
EXISTS: Final = "what it asks for is there already, and stays as it is"
IN_USE: Final = "the thing is in use, and the run's own"
SCRATCH: Final = "the target group is the replay's own, and no load balancer's"
QUESTION: Final = "it only asks"

SETTINGS: Final[Mapping[str, Arguments]] = {
    "a target group's port is at most 65535": {"Port": 70000},
    "no health check is by UDP": {"HealthCheckProtocol": "UDP"},
    "a health check's port is at most 65535": {"HealthCheckPort": "70000"},
    "at most 10 checks make a target healthy": {"HealthyThresholdCount": 11},
    "at most 300 s are between two health checks": {"HealthCheckIntervalSeconds": 301},
    "a health check waits 120 s at most": {"HealthCheckTimeoutSeconds": 121, "HealthCheckIntervalSeconds": 200},
    "a health check ends before the next": {"HealthCheckTimeoutSeconds": 31, "HealthCheckIntervalSeconds": 30},
}
"""Settings that no target group can have."""

REFUSALS: Final[Sequence[Refusal]] = (
    # Security groups, addresses, and questions to EC2
    Refusal(
        "a security group that a load balancer uses is not deleted",
        DELETE_GROUP,
        lambda grounds: {"GroupId": grounds.group},
        "DependencyViolation",
        IN_USE,
    ),
    Refusal(
        "no security group's name begins with sg-",
        CREATE_GROUP,
        _group(lambda grounds: f"sg-{grounds.token}"),
        "InvalidParameterValue",
        MALFORMED,
    ),
    Refusal(
        "a security group's description is ASCII",
        CREATE_GROUP,
        _group(lambda grounds: grounds.token, "café"),
        "InvalidParameterValue",
        MALFORMED,
    ),
    Refusal(
        "a VPC has one security group of a name",
        CREATE_GROUP,
        _group(lambda grounds: grounds.config.names.security_group),
        "InvalidGroup.Duplicate",
        EXISTS,
    ),
    Refusal(
        "a rule with another description is the same rule",
        AUTHORIZE,
        _rule("e2e", lambda grounds: grounds.rule),
        "InvalidPermission.Duplicate",
        EXISTS,
    ),
    Refusal(
        "a rule's description is ASCII",
        AUTHORIZE,
        _rule(
            "café",
            lambda _: {"IpProtocol": "udp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": f"{OUTSIDE}/32"}]},
        ),
        "InvalidParameterValue",
        MALFORMED,
    ),
    Refusal(
        "a security group has 50 tags",
        CREATE_TAGS,
        lambda grounds: {"Resources": [grounds.group], "Tags": MANY_TAGS},
        "TagLimitExceeded",
        "either all of its tags come to be or none",
    ),
    Refusal(
        "aws: begins no tag of a security group",
        CREATE_TAGS,
        lambda grounds: {"Resources": [grounds.group], "Tags": RESERVED_TAG},
        "InvalidParameterValue",
        MALFORMED,
    ),
    Refusal(
        "an Elastic IP that a load balancer holds is not released",
        RELEASE,
        lambda grounds: {"AllocationId": grounds.address},
        "AuthFailure",
        IN_USE,
        needs=OWN_ADDRESS,
    ),
    Refusal(
        "a prefix list that is not there has no entries",
        TELL_PREFIX_LIST,
        lambda _: {"PrefixListId": "pl-0123456789abcdef0"},
        "InvalidPrefixListID.NotFound",
        QUESTION,
    ),
    Refusal(
        f"the filters of a question have {FILTER_VALUES} values",
        TELL_INSTANCES,
        lambda _: {
            "Filters": [
                {"Name": "private-ip-address", "Values": [f"192.0.2.{number}" for number in range(FILTER_VALUES + 1)]}
            ]
        },
        "FilterLimitExceeded",
        QUESTION,
    ),
    # Load balancers
    Refusal(
        "a load balancer's name has 32 characters",
        CREATE_BALANCER,
        _balancer_called(lambda grounds: _filled(f"rp-public-{grounds.token}")),
        "ValidationError",
        MALFORMED,
    ),
    Refusal(
        "a load balancer's name has no underscore",
        CREATE_BALANCER,
        _balancer_called(lambda grounds: f"rp-public-{grounds.token}_x"),
        "ValidationError",
        MALFORMED,
    ),
    Refusal(
        "a load balancer's name ends in no hyphen",
        CREATE_BALANCER,
        _balancer_called(lambda grounds: f"rp-public-{grounds.token}-"),
        "ValidationError",
        MALFORMED,
    ),
    Refusal(
        "there is one load balancer of a name, where the settings differ",
        CREATE_BALANCER,
        _balancer_called(lambda grounds: grounds.config.names.nlb),
        "DuplicateLoadBalancerName",
        EXISTS,
    ),
    Refusal(
        "a load balancer's subnet exists",
        CREATE_BALANCER,
        _balancer(SubnetMappings=[{"SubnetId": "subnet-0123456789abcdef0"}]),
        "SubnetNotFound",
        ABSENT,
    ),
    Refusal(
        "a load balancer has one subnet of a zone",
        CREATE_BALANCER,
        _but(
            _balancer(),
            lambda grounds: {
                "SubnetMappings": [{"SubnetId": grounds.subnet_id}, {"SubnetId": grounds.second_subnet_id}]
            },
        ),
        "InvalidConfigurationRequest",
        MALFORMED,
        needs=SECOND_SUBNET,
    ),
    Refusal(
        "a load balancer's security group exists",
        CREATE_BALANCER,
        _balancer(SecurityGroups=["sg-0123456789abcdef0"]),
        "InvalidSecurityGroup",
        ABSENT,
    ),
    Refusal(
        "a load balancer's Elastic IP exists",
        CREATE_BALANCER,
        _balancer_with(lambda _: "eipalloc-0123456789abcdef0"),
        "AllocationIdNotFound",
        ABSENT,
    ),
    Refusal(
        "an Elastic IP serves one load balancer",
        CREATE_BALANCER,
        _balancer_with(lambda grounds: grounds.address),
        "ResourceInUse",
        IN_USE,
        needs=OWN_ADDRESS,
    ),
    Refusal(
        "a load balancer under deletion protection is not deleted",
        DELETE_BALANCER,
        lambda grounds: {"LoadBalancerArn": grounds.balancer},
        "OperationNotPermitted",
        "it is the run's own, and protected for this call only",
        around=_protected,
    ),
    Refusal(
        "a load balancer that has security groups keeps one",
        SET_GROUPS,
        lambda grounds: {"LoadBalancerArn": grounds.balancer, "SecurityGroups": []},
        "InvalidConfigurationRequest",
        "the load balancer is the run's own, and gets back what it loses",
    ),
    Refusal(
        "a load balancer gets only security groups that exist",
        SET_GROUPS,
        lambda grounds: {"LoadBalancerArn": grounds.balancer, "SecurityGroups": ["sg-0123456789abcdef0"]},
        "InvalidSecurityGroup",
        ABSENT,
    ),
    Refusal(
        "tags are not told where one of those asked for is not there",
        TELL_TAGS,
        lambda grounds: {"ResourceArns": [grounds.balancer, _numbered(grounds.balancer)]},
        "LoadBalancerNotFound",
        QUESTION,
    ),
    Refusal(
        f"tags are told of {TAGS_AT_ONCE} things at once",
        TELL_TAGS,
        lambda grounds: {"ResourceArns": [_numbered(grounds.balancer, number) for number in range(TAGS_AT_ONCE + 1)]},
        "ValidationError",
        QUESTION,
    ),
    # Target groups
    Refusal(
        "a target group's name has 32 characters",
        CREATE_TARGET_GROUP,
        target_group_called(lambda grounds: _filled(f"{grounds.token}-rp-tg")),
        "ValidationError",
        MALFORMED,
    ),
    Refusal(
        "a target group's name has no two hyphens in a row",
        CREATE_TARGET_GROUP,
        target_group_called(lambda grounds: f"{grounds.token}--rp-tg"),
        "ValidationError",
        MALFORMED,
    ),
    Refusal(
        "no target group's name begins with internal-",
        CREATE_TARGET_GROUP,
        target_group_called(lambda grounds: f"internal-{grounds.token}-rp-tg"),
        "ValidationError",
        MALFORMED,
    ),
    Refusal(
        "there is one target group of a name, where the settings differ",
        CREATE_TARGET_GROUP,
        target_group_called(lambda grounds: f"{grounds.token}-rp-tg", Port=30505),
        "DuplicateTargetGroupName",
        EXISTS,
    ),
    *(
        Refusal(name, CREATE_TARGET_GROUP, new_target_group(**changes), "ValidationError", MALFORMED)
        for name, changes in SETTINGS.items()
    ),
    Refusal(
        "a target group that a listener forwards to is not deleted",
        DELETE_TARGET_GROUP,
        lambda grounds: {"TargetGroupArn": grounds.target_group},
        "ResourceInUse",
        IN_USE,
    ),
    Refusal(
        "a target group has 50 tags",
        ADD_TAGS,
        lambda grounds: {"ResourceArns": [grounds.udp_targets], "Tags": MANY_TAGS},
        "TooManyTags",
        SCRATCH,
    ),
    Refusal(
        "aws: begins no tag of a target group",
        ADD_TAGS,
        lambda grounds: {"ResourceArns": [grounds.udp_targets], "Tags": RESERVED_TAG},
        "InvalidParameterValue",
        SCRATCH,
    ),
    # Listeners
    Refusal(
        "a port has one listener",
        CREATE_LISTENER,
        _but(_listener(), lambda grounds: {"Port": grounds.config.udp_port}),
        "DuplicateListener",
        EXISTS,
    ),
    Refusal("a listener's port is at most 65535", CREATE_LISTENER, _listener(Port=70000), "ValidationError", MALFORMED),
    Refusal(
        "a TCP listener forwards to no UDP target group",
        CREATE_LISTENER,
        _listener(Protocol="TCP"),
        "IncompatibleProtocols",
        MALFORMED,
    ),
    Refusal(
        "a listener's target group exists",
        CREATE_LISTENER,
        _but(
            _listener(),
            lambda grounds: {"DefaultActions": [{"Type": "forward", "TargetGroupArn": _numbered(grounds.udp_targets)}]},
        ),
        "TargetGroupNotFound",
        ABSENT,
    ),
    # Targets
    Refusal("an address outside the VPC is no target", REGISTER, _udp_target(Id=OUTSIDE), "ValidationError", SCRATCH),
    Refusal("a name is no target among addresses", REGISTER, _udp_target(Id="node-1"), "ValidationError", SCRATCH),
    Refusal("a target's port is at most 65535", REGISTER, _udp_target(Port=70000), "ValidationError", SCRATCH),
    Refusal("an address is no target among instances", REGISTER, _instance_target(), "InvalidTarget", SCRATCH),
    Refusal(
        "an instance that is not there is no target",
        REGISTER,
        _instance_target(Id="i-0123456789abcdef0"),
        "InvalidTarget",
        SCRATCH,
    ),
    # Records
    Refusal(
        "a record of a name is created once",
        CREATE_RECORD,
        _alias("CREATE"),
        "InvalidChangeBatch",
        EXISTS,
        needs=OWN_RECORD,
    ),
    Refusal(
        "an alias of a load balancer is in the zone of load balancers",
        CREATE_RECORD,
        _other_alias(lambda grounds: {"zoneId": grounds.record["zoneId"]}),
        "InvalidChangeBatch",
        MALFORMED,
        needs=OWN_RECORD,
    ),
    Refusal(
        "the load balancer of an alias exists",
        CREATE_RECORD,
        _other_alias(lambda grounds: {"name": f"gone-{grounds.record['aliases'][0]['name']}"}),
        "InvalidChangeBatch",
        ABSENT,
        needs=OWN_RECORD,
    ),
    Refusal(
        "a record lies in its zone",
        CREATE_RECORD,
        _alias("CREATE", lambda grounds: {"name": f"{grounds.token}.invalid"}),
        "InvalidChangeBatch",
        MALFORMED,
        needs=OWN_RECORD,
    ),
    Refusal(
        "the zone of a record exists",
        CREATE_RECORD,
        _alias("CREATE", lambda _: {"zoneId": "Z00000000000000000000"}),
        "NoSuchHostedZone",
        ABSENT,
        needs=OWN_RECORD,
    ),
    Refusal(
        "a record that is not there is not deleted",
        DELETE_RECORD,
        _alias("DELETE", _other_name),
        "InvalidChangeBatch",
        ABSENT,
        needs=OWN_RECORD,
    ),
    # Alarms and dashboards
    Refusal(
        "an alarm's name has 255 characters",
        PUT_ALARM,
        lambda grounds: _alarm(AlarmName=f"{grounds.token}-lls-".ljust(256, "x"))(grounds),
        "ValidationError",
        MALFORMED,
    ),
    Refusal("an alarm notifies its own region", PUT_ALARM, _alarm_elsewhere, "ValidationError", MALFORMED),
    Refusal(
        "an alarm looks back a day",
        PUT_ALARM,
        _alarm(EvaluationPeriods=1441),
        "ValidationError",
        MALFORMED,
    ),
    Refusal(
        "an alarm is raised by no more values than it looks at",
        PUT_ALARM,
        _alarm(DatapointsToAlarm=2),
        "ValidationError",
        MALFORMED,
    ),
    Refusal(
        "an alarm that is not there is not deleted",
        DELETE_ALARMS,
        lambda grounds: {"AlarmNames": [f"{grounds.token}-lls-none"]},
        "ResourceNotFound",
        ABSENT,
    ),
    Refusal(
        "an alarm that is not there has no tags",
        TELL_ALARM_TAGS,
        lambda grounds: {
            "ResourceARN": f"arn:{grounds.balancer.split(':')[1]}:cloudwatch:{grounds.config.region}:"
            f"{grounds.balancer.split(':')[4]}:alarm:{grounds.token}-lls-none"
        },
        "ResourceNotFoundException",
        QUESTION,
    ),
    Refusal("a dashboard is JSON", PUT_DASHBOARD, _dashboard("{"), "InvalidParameterInput", MALFORMED),
    Refusal("a dashboard has widgets", PUT_DASHBOARD, _dashboard("{}"), "InvalidParameterInput", MALFORMED),
    Refusal(
        "a dashboard that is not there is not told",
        TELL_DASHBOARD,
        lambda grounds: {"DashboardName": f"{grounds.token}-lls-none"},
        "ResourceNotFound",
        QUESTION,
    ),
)

NOT_TRIED: Final[Mapping[str, str]] = {
    "NoSuchChange": "tells nothing of a record: the provider asks for changes of its own",
    "TargetGroupAssociationLimit": "needs a second load balancer: an hour of it, and interfaces that linger",
    "InvalidSubnet": "needs a subnet with fewer than 8 free addresses",
    "InvalidIPAddress.InUse": "needs an instance that holds an Elastic IP",
    "TooManyTargets": "a quota, of 500 targets in a zone",
    "TooManyLoadBalancers": "a quota of the whole region: who fills it harms others",
    "TooManyTargetGroups": "likewise",
    "AddressLimitExceeded": "likewise",
    "SecurityGroupLimitExceeded": "likewise",
    "RulesPerSecurityGroupLimitExceeded": "a quota that may be as high as 1000 rules",
}
"""Codes of the emulation that no call of the table brings about, and why."""
