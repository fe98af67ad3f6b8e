from lls.fitness import JudgedNode
from lls.targets import choose_ids, reasons
from tests.support.configs import loaded
from tests.support.recorded import CONFIG

NODES = [
    JudgedNode("a", "i-3", "10.0.0.9"),
    JudgedNode("b", "i-2", "10.0.0.10"),
    JudgedNode("c", "i-1", "10.0.0.2"),
    JudgedNode("d", "i-4", "10.0.0.4", "stopped in EC2"),
    JudgedNode("e", "i-5", "10.0.0.5", "stopped in EC2"),
    JudgedNode("f", "", "", "on Fargate"),
]


def test_the_fit_nodes_are_the_targets_sorted_whatever_the_apis_order() -> None:
    by_address = loaded({**CONFIG, "lls:registration": "nodes"})
    assert choose_ids(by_address, NODES) == choose_ids(by_address, NODES[::-1]) == ("10.0.0.10", "10.0.0.2", "10.0.0.9")
    by_instance = loaded({**CONFIG, "lls:registration": "nodes", "lls:targetType": "instance"})
    assert choose_ids(by_instance, NODES) == ("i-1", "i-2", "i-3")


def test_nodes_left_out_for_the_same_reason_are_named_together() -> None:
    assert reasons(NODES) == "stopped in EC2: d, e; on Fargate: f"
