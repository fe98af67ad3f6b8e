"""What the providers make of a deletion of what is gone already, and of a name that is taken."""

import re
from collections.abc import Mapping

import pytest
from botocore.exceptions import ClientError

from lls.operations.program.recording import Resource
from lls.operations.world.inventory import (
    ADDRESS,
    ATTACHMENT,
    BALANCER,
    EGRESS,
    GROUP,
    INGRESS,
    LISTENER,
    RECORD,
    TARGET,
    TARGET_GROUP,
)
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, RELEASE
from rehearsal.engine.engine import StepsFailedError, waves
from rehearsal.providers.bindings import BINDING
from rehearsal.rehearse import Rehearsal
from tests.support.faults import NODES
from tests.support.recorded import as_config
from tests.support.strategies import QUIRKS, STRATEGIES
from tests.support.worlds import a_rehearsal

TWICE: Mapping[str, str] = {
    ADDRESS: "",
    ATTACHMENT: "",
    BALANCER: "",
    BINDING: "",
    EGRESS: "",
    GROUP: "",
    INGRESS: "",
    KUBERNETES_NAMESPACE: "",
    LISTENER: "ListenerNotFound",
    RECORD: "",
    RELEASE: "release: not found",
    TARGET: "",
    TARGET_GROUP: "TargetGroupNotFound",
}
"""What the second deletion of a thing of each type says; nothing where it succeeds. The providers name the sources."""


def delete(rehearsal: Rehearsal, resource: Resource) -> str:
    """What a deletion says that fails."""
    try:
        rehearsal.provider.delete(resource.type, resource.id, resource.inputs)
    except Exception as error:
        return str(error)
    return ""


NAMED = NODES | as_config(dnsName="stream.example.com")


@pytest.mark.parametrize("stack", [NAMED, *STRATEGIES.values()], ids=["static address and name", *STRATEGIES])
def test_a_thing_is_deleted_twice_as_by_the_real_providers(stack: Mapping[str, str]) -> None:
    with a_rehearsal(stack, quirks=QUIRKS) as rehearsal:
        rehearsal.engine.up()
        resources = [resource for wave in waves(rehearsal.engine.state.values()) for resource in wave]
        for resource in resources:
            if resource.type not in TWICE:
                continue
            assert delete(rehearsal, resource) == "", resource.name
            said = delete(rehearsal, resource)
            assert bool(said) == bool(TWICE[resource.type]), f"{resource.name}: {said}"
            assert TWICE[resource.type] in said
        assert [*rehearsal.aws.leftovers(), *rehearsal.cluster.leftovers()] == []


def test_a_registration_whose_target_group_is_gone_cannot_be_deleted() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        resources = list(rehearsal.engine.state.values())
        rehearsal.engine.destroy()
        target = next(resource for resource in resources if resource.type == TARGET)
        with pytest.raises(ClientError, match="TargetGroupNotFound"):
            rehearsal.provider.delete(target.type, target.id, target.inputs)


def test_a_destroy_goes_on_after_somebody_has_deleted_rules_groups_and_addresses_by_hand() -> None:
    with a_rehearsal(NODES) as rehearsal:
        rehearsal.engine.up()
        for resource in list(rehearsal.engine.state.values()):
            if resource.type in (INGRESS, EGRESS, TARGET):
                assert delete(rehearsal, resource) == ""
        rehearsal.engine.destroy()
        assert rehearsal.leftovers() == []


@pytest.mark.parametrize(
    ("type_", "told"),
    [
        (BALANCER, r"ELBv2 Load Balancer \(rp-public-demo\) already exists"),
        (TARGET_GROUP, r"ELBv2 Target Group \(demo-rp-tg\) already exists"),
    ],
)
def test_a_name_that_is_taken_is_refused_even_where_the_settings_are_the_same(type_: str, told: str) -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        for urn, resource in list(rehearsal.engine.state.items()):
            if resource.type == type_:
                del rehearsal.engine.state[urn]
        with pytest.raises(StepsFailedError) as caught:
            rehearsal.engine.up()
        assert re.search(told, str(caught.value))


def test_a_record_that_is_there_is_not_taken_over_even_where_it_says_the_same() -> None:
    with a_rehearsal(NAMED) as rehearsal:
        rehearsal.engine.up()
        [record] = [resource for resource in rehearsal.engine.state.values() if resource.type == RECORD]
        del rehearsal.engine.state[record.urn]
        with pytest.raises(StepsFailedError, match=r"InvalidChangeBatch.*but it already exists"):
            rehearsal.engine.up()


def test_a_listener_that_is_there_with_the_same_settings_is_taken_for_the_new_one() -> None:
    with a_rehearsal() as rehearsal:
        rehearsal.engine.up()
        [listener] = [resource for resource in rehearsal.engine.state.values() if resource.type == LISTENER]
        del rehearsal.engine.state[listener.urn]
        rehearsal.engine.up()
        assert rehearsal.engine.state[listener.urn].id == listener.id
