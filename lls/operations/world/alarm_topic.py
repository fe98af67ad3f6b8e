"""Whether an SNS topic tells anybody of an alarm: that it is there, who may publish to it, its key, and who listens.

Source: "Why didn't I receive an SNS notification for my CloudWatch alarm trigger?" and "How do I configure a CloudWatch
alarm with an encrypted topic?" in AWS's knowledge center; evaluation of policies as in IAM's guide, as far as needed.
"""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, cast

from lls.operations.report.finding import Finding, note, ok, problem, unknown
from lls.operations.world.account import Account, AwsError

CHECK: Final = "alarms"
SERVICE: Final = "cloudwatch.amazonaws.com"
UNCONFIRMED: Final = frozenset({"PendingConfirmation", "Deleted"})
"""What stands for the ARN of a subscription that gets nothing."""

USES_OF_KEY: Final = ("kms:Decrypt", "kms:GenerateDataKey")
"""What CloudWatch does with the key of a topic."""

Verdict = Literal["yes", "no", "unclear"]


def check_topic(account: Account, arn: str, alarm_arn: str) -> list[Finding]:
    """What of a topic keeps an alarm of that ARN from reaching anybody."""
    region = arn.split(":")[3]
    try:
        attributes: Mapping[str, str] = account.call("sns", "get_topic_attributes", TopicArn=arn)["Attributes"]
    except AwsError as error:
        if error.is_gone:
            remedy = f"aws sns create-topic --region {region} --name {arn.rpartition(':')[2]}, or correct the key"
            return [problem(CHECK, f"lls:alarmTopicArn: there is no topic {arn}", remedy)]
        return [unknown(CHECK, f"topic {arn} cannot be looked at: {error}", "docs/iam-policy.json has what to allow")]
    found = [
        *_check_policy(attributes, arn, alarm_arn),
        *_check_key(account, attributes.get("KmsMasterKeyId", ""), arn, alarm_arn),
        *_check_subscriptions(account, arn),
    ]
    if attributes.get("FifoTopic") == "true":
        found.append(problem(CHECK, f"{arn} is a FIFO topic, which no alarm can notify", "use a standard topic"))
    return found or [ok(CHECK, f"{arn} takes what alarms tell, and somebody has subscribed to it")]


def _check_policy(attributes: Mapping[str, str], arn: str, alarm_arn: str) -> Iterable[Finding]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": "sns:Publish",
        "Resource": arn,
    }
    match _allows(attributes.get("Policy", ""), "sns:Publish", arn, alarm_arn):
        case "no":
            seen = f"the policy of {arn} does not let {SERVICE} publish, so no alarm reaches it"
            yield problem(CHECK, seen, f"add to its access policy: {json.dumps(statement)}")
        case "unclear":
            seen = f"whether the policy of {arn} lets {SERVICE} publish cannot be told from its conditions"
            yield unknown(CHECK, seen, f"look at it by hand; this would do: {json.dumps(statement)}")
        case "yes":
            pass


def _check_key(account: Account, key: str, arn: str, alarm_arn: str) -> Iterable[Finding]:
    """Whether alarms may use the key that encrypts the topic: never AWS's own, whose policy nobody can change."""
    if not key:
        return
    owner = "use a key of your own that lets cloudwatch.amazonaws.com kms:Decrypt and kms:GenerateDataKey*"
    remedy = f"{owner}, or none: aws sns set-topic-attributes --topic-arn {arn} --attribute-name KmsMasterKeyId"
    managed = problem(CHECK, f"{arn} is encrypted with AWS's own key, which no alarm may use", remedy)
    if key.endswith("alias/aws/sns"):
        yield managed
        return
    try:
        described = account.call("kms", "describe_key", KeyId=key)["KeyMetadata"]
        if described.get("KeyManager") == "AWS":
            yield managed
            return
        policy = account.call("kms", "get_key_policy", KeyId=described["Arn"], PolicyName="default")["Policy"]
    except AwsError as error:
        yield unknown(CHECK, f"whether alarms may use key {key} of {arn} cannot be told: {error}", owner)
        return
    answers = {
        _allows(policy, action, described["Arn"], alarm_arn) for action in ("kms:Decrypt", "kms:GenerateDataKey")
    }
    if "no" in answers:
        yield problem(CHECK, f"the policy of key {key} does not let {SERVICE} use it, so no alarm reaches {arn}", owner)
    elif "unclear" in answers:
        yield unknown(CHECK, f"whether the policy of key {key} lets {SERVICE} use it cannot be told", owner)


def _check_subscriptions(account: Account, arn: str) -> Iterable[Finding]:
    region = arn.split(":")[3]
    remedy = f"aws sns subscribe --region {region} --topic-arn {arn} --protocol email --notification-endpoint YOU"
    try:
        listed = list(account.every("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn))
    except AwsError as error:
        yield unknown(CHECK, f"who has subscribed to {arn} cannot be told: {error}")
        return
    if not listed:
        yield note(CHECK, f"nobody has subscribed to {arn}: an alarm wakes nobody", remedy)
    elif all(subscription["SubscriptionArn"] in UNCONFIRMED for subscription in listed):
        seen = f"no subscription to {arn} is confirmed yet: an alarm wakes nobody"
        yield note(CHECK, seen, "confirm it, as the message to each subscriber says")


def _allows(policy: str, action: str, resource: str, alarm_arn: str) -> Verdict:
    """Whether a resource's policy lets CloudWatch do something on behalf of an alarm."""
    try:
        listed: Any = json.loads(policy or "{}").get("Statement", [])
    except ValueError:
        return "unclear"
    statements: list[Any] = [listed] if isinstance(listed, dict) else listed
    answer: Verdict = "no"
    for statement in statements:
        about = _names_service(statement.get("Principal"))
        about = about and any(fnmatchcase(action.lower(), each.lower()) for each in _listed(statement.get("Action")))
        about = about and any(fnmatchcase(resource, each) for each in _listed(statement.get("Resource", "*")))
        if "NotPrincipal" in statement or "NotAction" in statement or "NotResource" in statement:
            applies: Verdict = "unclear"
        else:
            applies = _holds(statement.get("Condition", {}), alarm_arn) if about else "no"
        if applies == "no":
            continue
        if statement.get("Effect") == "Deny":
            return "no" if applies == "yes" else "unclear"
        answer = "yes" if "yes" in (applies, answer) else "unclear"
    return answer


def _names_service(principal: Any) -> bool:
    if not isinstance(principal, dict):
        return principal == "*"
    named = cast(Mapping[str, Any], principal)
    return SERVICE in _listed(named.get("Service")) or "*" in _listed(named.get("AWS"))


def _holds(conditions: Mapping[str, Mapping[str, Any]], alarm_arn: str) -> Verdict:
    """Whether conditions hold for what an alarm publishes: of those on its ARN and account it can be told."""
    account = alarm_arn.split(":")[4]
    known = {"aws:sourcearn": alarm_arn, "aws:sourceaccount": account, "aws:sourceowner": account}
    answer: Verdict = "yes"
    for operator, keys in conditions.items():
        for key, wanted in keys.items():
            if operator not in ("StringEquals", "StringLike", "ArnEquals", "ArnLike") or key.lower() not in known:
                answer = "unclear"
            elif not any(fnmatchcase(known[key.lower()], each) for each in _listed(wanted)):
                return "no"
    return answer


def _listed(value: Any) -> list[str]:
    """One or several texts of a policy, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
