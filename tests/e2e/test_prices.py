"""What a run costs: by the config, and from data that says where it comes from."""

import datetime
from decimal import Decimal

import pytest

from e2e.prices import hourly, lines
from tests.support.configs import loaded
from tests.support.recorded import as_config
from tests.support.worlds import STACK


@pytest.mark.parametrize(
    ("config", "dollars"),
    [
        ({}, "0.0335"),
        (as_config(staticIp=True), "0.0335"),
        (as_config(eipAllocationId="eipalloc-0a1b2c3d"), "0.0285"),
    ],
)
def test_an_hour_costs_a_load_balancer_a_unit_of_its_capacity_and_an_address_that_is_not_the_users_own(
    config: dict[str, str], dollars: str
) -> None:
    assert hourly(loaded({**STACK, **config})) == Decimal(dollars)


def test_traffic_between_zones_costs_only_where_targets_may_be_elsewhere() -> None:
    told = [str(line) for line in lines(loaded(STACK))]
    assert any("none of it" in line for line in told)
    told = [str(line) for line in lines(loaded({**STACK, **as_config(allowOtherZones=True)}))]
    assert any("lls:allowOtherZones" in line for line in told)


def test_every_price_has_a_page_of_awss_and_a_day() -> None:
    for line in lines(loaded(STACK)):
        assert line.price.source.startswith("https://aws.amazon.com/")
        assert datetime.date.fromisoformat(line.price.as_of) <= datetime.datetime.now(datetime.UTC).date()
