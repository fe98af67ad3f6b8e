"""The replay of `REFUSALS` on what a stack has made."""

import secrets
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, Final

from botocore.exceptions import ClientError

from e2e.refusals import REFUSALS, Arguments, Grounds, Refusal, target_group_called
from lls.config import Config
from lls.operations.report.finding import Finding, Watcher, note, ok, problem, unknown
from lls.operations.world.account import EXPIRED, INVALID, Account, AwsError
from lls.operations.world.inventory import ADDRESS, BALANCER, GROUP, INGRESS, RECORD, TARGET_GROUP
from lls.operations.world.states import State, StateResource


@contextmanager
def grounds_of(account: Account, config: Config, state: State) -> Generator[Grounds]:
    """What a stack has made, by its state, and the replay's own target groups, which are deleted in any case.

    Raises AwsError, and ValueError where the state is not that of a whole stack.
    """
    [balancer] = _of(state, BALANCER)
    [target_group] = _of(state, TARGET_GROUP)
    [group] = _of(state, GROUP)
    rule, *_ = [rule.inputs for rule in _of(state, INGRESS) if rule.inputs["securityGroupId"] == group.id]
    subnet_id: str = balancer.inputs["subnetMappings"][0]["subnetId"]
    [subnet] = account.call("ec2", "describe_subnets", SubnetIds=[subnet_id])["Subnets"]
    vpc_id, zone = subnet["VpcId"], subnet["AvailabilityZone"]
    neighbours = account.filtered("describe_subnets", "Subnets", "vpc-id", [vpc_id], availability_zone=zone)
    others = sorted({neighbour["SubnetId"] for neighbour in neighbours} - {subnet_id})
    stack = Grounds(
        account=account,
        config=config,
        token=f"e2e-{secrets.token_hex(4)}",
        vpc_id=vpc_id,
        subnet_id=subnet_id,
        second_subnet_id=next(iter(others), ""),
        inside=str(ip_network(subnet["CidrBlock"])[4]),
        balancer=balancer.id,
        target_group=target_group.id,
        group=group.id,
        rule=_permission(rule),
        record=next((dict(record.inputs) for record in _of(state, RECORD)), Arguments()),
        address=next((address.id for address in _of(state, ADDRESS)), ""),
        udp_targets="",
        instance_targets="",
        own=state.ids,
    )
    with ExitStack() as until:

        def make(name: str, target_type: str) -> str:
            arguments = target_group_called(lambda _: name, TargetType=target_type)(stack)
            arn: str = stack.call("elbv2", "create_target_group", **arguments)["TargetGroups"][0]["TargetGroupArn"]
            until.callback(stack.call, "elbv2", "delete_target_group", TargetGroupArn=arn)
            return arn

        udp_targets = make(f"{stack.token}-rp-tg", "ip")
        instance_targets = make(f"{stack.token}-i-rp-tg", "instance")
        own = stack.own | {udp_targets, instance_targets}
        yield replace(stack, udp_targets=udp_targets, instance_targets=instance_targets, own=own)


def replay(account: Account, config: Config, state: State, watcher: Watcher) -> list[Finding]:
    """Try every refusal of the table on a stack; each that AWS answers otherwise is a problem: of the emulation."""
    found: list[Finding] = []
    try:
        with grounds_of(account, config, state) as grounds:
            for refusal in REFUSALS:
                watcher.began(refusal.name)
                found += try_one(refusal, grounds)
                watcher.ended(refusal.name)
    except AwsError as error:
        seen = f"the target groups of the replay's own: {error}"
        found.append(problem("refusals", seen, "after destroy: python -m lls sweep deletes what is left of them"))
    return found


def try_one(refusal: Refusal, grounds: Grounds) -> list[Finding]:
    """Try one refusal, and take it back where AWS accepted it."""
    if refusal.needs and not refusal.needs.id(grounds):
        return [note("refusals", f"{refusal.name}: not tried, for want of {refusal.needs.text}")]
    found: list[Finding] = []
    try:
        with refusal.around(grounds):
            found += _tried(refusal, grounds)
    except AwsError as error:
        found.append(problem("refusals", f"{refusal.name}: {error}", "before destroy: undo it by hand"))
    return found


def _tried(refusal: Refusal, grounds: Grounds) -> list[Finding]:
    operation, arguments = refusal.operation, refusal.arguments(grounds)
    expected = f"{refusal.name}: the emulation answers {operation.service}:{operation.name} with {refusal.code}"
    try:
        answer = grounds.call(operation.service, operation.name, **arguments)
    except AwsError as error:
        if error.code == refusal.code:
            return [ok("refusals", f"{refusal.name}: {error.code}")]
        if _says_nothing(error):
            return [unknown("refusals", f"{refusal.name}: {error}")]
        return [problem("refusals", f"{expected}, AWS with {error.code}: {error}", CORRECT)]
    found = [problem("refusals", f"{expected}, AWS accepts it; {operation.undo.text}", CORRECT)]
    try:
        operation.undo.call(grounds, arguments, answer)
    except AwsError as error:
        found.append(problem("refusals", f"{refusal.name}: not taken back: {error}", "take it back by hand"))
    return found


CORRECT: Final = "correct the emulation (rehearsal/aws/) and this table by it, or report it"


def _says_nothing(error: AwsError) -> bool:
    """Whether a failure is not AWS's word on the call: no permission, no credentials, too many calls, no answer."""
    is_answer = isinstance(error.__cause__, ClientError)
    return not is_answer or error.denied or error.is_throttled or error.code in PASSING


PASSING: Final = EXPIRED | INVALID | {"InternalFailure", "InternalError", "ServiceUnavailable", "Unavailable"}
"""Codes by which AWS says that a call was not judged."""


def _of(state: State, type_: str) -> list[StateResource]:
    return [resource for resource in state.resources if resource.type == type_]


def _permission(rule: Mapping[str, Any]) -> Arguments:
    """What an ingress rule lets in, as EC2 is asked for it."""
    ports = {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    if prefix_list := rule.get("prefixListId"):
        return {"IpProtocol": rule["ipProtocol"], **ports, "PrefixListIds": [{"PrefixListId": prefix_list}]}
    return {"IpProtocol": rule["ipProtocol"], **ports, "IpRanges": [{"CidrIp": rule["cidrIpv4"]}]}
