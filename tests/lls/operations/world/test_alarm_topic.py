import json
from collections.abc import Generator, Mapping
from typing import Any

import pytest

from lls.operations.report.finding import Finding, Level
from lls.operations.world.account import Account
from lls.operations.world.alarm_topic import check_topic
from tests.support.recorded import as_config
from tests.support.worlds import MutableRehearsal, a_rehearsal

TOPIC = "arn:aws:sns:us-west-2:123456789012:pager"
ALARM = "arn:aws:cloudwatch:us-west-2:123456789012:alarm:demo-lls-no-healthy-host"
SERVICE = {"Service": "cloudwatch.amazonaws.com"}


@pytest.fixture(scope="module")
def world() -> Generator[MutableRehearsal]:
    with a_rehearsal(as_config(alarmTopicArn=TOPIC)) as rehearsal:
        yield rehearsal


def checked(world: MutableRehearsal, arn: str = TOPIC) -> list[Finding]:
    return check_topic(Account(world.aws.client), arn, ALARM)


def new_topic(world: MutableRehearsal, name: str, *, subscribed: bool = True, **attributes: str) -> str:
    sns: Any = world.aws.client("sns")
    arn = sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
    if subscribed:
        sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="pager@example.com")
    return arn


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": "sns:Publish"} | dict(each) for each in statements]})


def test_the_topic_that_sns_makes_by_default_hears_of_alarms(world: MutableRehearsal) -> None:
    assert [finding.level for finding in checked(world)] == [Level.OK]


GOOD = {
    "the service": policy({"Principal": SERVICE}),
    "the service for its account": policy(
        {"Principal": SERVICE, "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}
    ),
    "the service for its alarms": policy(
        {
            "Principal": SERVICE,
            "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-west-2:123456789012:alarm:*"}},
        }
    ),
    "everybody": policy({"Principal": "*", "Action": ["SNS:*"], "Resource": TOPIC.replace("pager", "*")}),
    "besides a denial of others": policy(
        {"Principal": SERVICE}, {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}}
    ),
}
BAD = {
    "nobody": json.dumps({"Statement": []}),
    "another service": policy({"Principal": {"Service": "events.amazonaws.com"}}),
    "only the owner's own people": policy({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}),
    "another account's alarms": policy(
        {"Principal": SERVICE, "Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}}
    ),
    "another action": policy({"Principal": SERVICE, "Action": "sns:Subscribe"}),
    "with a denial": policy({"Principal": SERVICE}, {"Effect": "Deny", "Principal": "*"}),
}
UNCLEAR = {
    "a condition of another kind": policy(
        {"Principal": SERVICE, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}
    ),
    "all but somebody": json.dumps(
        {"Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": "x"}, "Action": "sns:Publish"}}
    ),
}


@pytest.mark.parametrize(
    ("text", "level"),
    [
        *((text, Level.OK) for text in GOOD.values()),
        *((text, Level.PROBLEM) for text in BAD.values()),
        *((text, Level.UNKNOWN) for text in UNCLEAR.values()),
    ],
    ids=[*GOOD, *BAD, *UNCLEAR],
)
def test_who_may_publish_is_told_by_the_topics_policy(world: MutableRehearsal, text: str, level: Level) -> None:
    arn = new_topic(world, "judged")
    world.aws.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=text)
    [finding] = checked(world, arn)
    assert finding.level is level
    if level is not Level.OK:
        assert "cloudwatch.amazonaws.com" in finding.remedy


def key(world: MutableRehearsal, principal: Mapping[str, str], *actions: str) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return world.aws.client("kms").create_key(Policy=text, Description="of the pager")["KeyMetadata"]["Arn"]


def test_a_topic_that_tells_nobody_is_a_problem_with_a_remedy(world: MutableRehearsal) -> None:
    closed = key(world, {"AWS": "arn:aws:iam::123456789012:root"}, "kms:*")
    for arn, word in (
        (f"{TOPIC}-none", "there is no topic"),
        (new_topic(world, "managed", KmsMasterKeyId="alias/aws/sns"), "AWS's own key"),
        (new_topic(world, "closed", KmsMasterKeyId=closed), "does not let cloudwatch.amazonaws.com use it"),
        (new_topic(world, "ordered.fifo", FifoTopic="true"), "FIFO"),
    ):
        [finding] = checked(world, arn)
        assert finding.level is Level.PROBLEM
        assert word in finding.seen
        assert finding.remedy


def test_a_key_of_ones_own_that_lets_alarms_use_it_is_fine(world: MutableRehearsal) -> None:
    opened = key(world, SERVICE, "kms:Decrypt", "kms:GenerateDataKey*")
    assert [each.level for each in checked(world, new_topic(world, "opened", KmsMasterKeyId=opened))] == [Level.OK]


def test_a_topic_without_listeners_is_worth_a_note(world: MutableRehearsal) -> None:
    [finding] = checked(world, new_topic(world, "lonely", subscribed=False))
    assert (finding.level, "aws sns subscribe" in finding.remedy) == (Level.NOTE, True)


def test_a_subscription_that_waits_for_its_confirmation_is_none(
    world: MutableRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(world.aws.client)

    def pending(*_: object, **__: object) -> list[dict[str, str]]:
        return [{"SubscriptionArn": "PendingConfirmation"}]

    monkeypatch.setattr(account, "every", pending)
    [finding] = check_topic(account, TOPIC, ALARM)
    assert (finding.level, "no subscription" in finding.seen) == (Level.NOTE, True)


@pytest.mark.parametrize("action", ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "kms:DescribeKey"])
def test_what_of_a_topic_cannot_be_read_is_unknown(world: MutableRehearsal, action: str) -> None:
    arn = new_topic(world, "unread", KmsMasterKeyId="alias/mine")
    world.aws.denied.add(action)
    found = {finding.level for finding in checked(world, arn)}
    world.aws.denied.clear()
    assert Level.UNKNOWN in found
    assert Level.OK not in found
