import pytest

from bench.guide_commands import follow
from rehearsal.aws.server import Aws
from tests.support.guide_parity import INTENDED, differences, state_of
from tests.support.worlds import PatientClock, a_rehearsal, a_world


def answers(address: str, port: int, path: str) -> bool:
    return True


@pytest.mark.parametrize("static", [False, True], ids=["dynamic address", "static address"])
def test_the_programs_state_is_the_guides_but_for_the_written_list(static: bool) -> None:
    # Ids that differ between two worlds by chance are fixed by the world.
    fixed = {"lls:vpcId": "vpc-0a1b2c3d", "lls:publicSubnetId": "subnet-0a1b2c3d"}
    config = {"aws:region": "us-west-2", "lls:clusterName": "demo", "lls:availabilityZone": "us-west-2a", **fixed}
    with Aws(a_world(config), PatientClock(), cluster_endpoint="http://127.0.0.1:1", answers=answers) as aws:
        follow(aws, "demo", "us-west-2a", static=static, health_rule=False)
        guide = state_of(aws)
    with a_rehearsal({**fixed, "lls:staticIp": "true" if static else "false"}) as rehearsal:
        rehearsal.engine.up()
        ours = state_of(rehearsal.aws)
    expected = set(INTENDED) - (set() if static else {"address.tags"})
    assert differences(guide, ours) == expected


def test_our_tags_are_the_guides_where_the_guide_has_any() -> None:
    config = {"aws:region": "us-west-2", "lls:clusterName": "demo", "lls:availabilityZone": "us-west-2a"}
    with Aws(a_world(config), PatientClock(), cluster_endpoint="http://127.0.0.1:1", answers=answers) as aws:
        follow(aws, "demo", "us-west-2a", static=True)
        guide = {name: facts for name, facts in state_of(aws).items() if name.endswith(".tags")}
    with a_rehearsal({"lls:staticIp": "true"}) as rehearsal:
        rehearsal.engine.up()
        ours = state_of(rehearsal.aws)
    for name, tags in guide.items():
        assert tags.items() <= ours[name].items(), name
