"""What a run costs in AWS's terms. The prices are data: AWS is not asked for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from lls.config import Config

REGION: Final = "us-east-1"
"""Where the prices are those of. Others differ, mostly upwards."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """A line of AWS's price list: US dollars for a `unit` in REGION as of a day; `source` is where today's are."""

    usd: Decimal
    unit: str
    source: str
    as_of: str


BALANCER: Final = Price(
    usd=Decimal("0.0225"),
    unit="NLB-hour, each begun hour",
    source="https://aws.amazon.com/elasticloadbalancing/pricing/",
    as_of="2026-09-20",
)
CAPACITY: Final = Price(
    usd=Decimal("0.006"),
    unit="NLCU-hour",
    source="https://aws.amazon.com/elasticloadbalancing/pricing/",
    as_of="2026-09-20",
)
ADDRESS: Final = Price(
    usd=Decimal("0.005"),
    unit="hour of a public IPv4 address",
    source="https://aws.amazon.com/vpc/pricing/",
    as_of="2024-02-01",
)
EGRESS: Final = Price(
    usd=Decimal("0.09"),
    unit="GB out to the internet, beyond the first 100 GB of a month",
    source="https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer",
    as_of="2026-06-05",
)
BETWEEN_ZONES: Final = Price(
    usd=Decimal("0.01"),
    unit="GB between zones, each way",
    source="https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer",
    as_of="2026-06-05",
)


@dataclass(frozen=True)
class Line:
    """A price, how much of it an hour takes, and why. What goes by use has `per_hour` 0."""

    price: Price
    per_hour: int
    why: str

    def __str__(self) -> str:
        amount = f"{self.per_hour} x " if self.per_hour else "by use: "
        return f"{amount}{self.price.usd} USD / {self.price.unit}: {self.why}"


def lines(config: Config) -> Sequence[Line]:
    """What a stack of that config costs beside the nodes, which are the user's own."""
    own_address = bool(config.eip_allocation_id)
    zones = (
        "lls:allowOtherZones lets targets be elsewhere than the load balancer"
        if config.allow_other_zones
        else "none of it, all targets are in the load balancer's zone"
    )
    return (
        Line(BALANCER, 1, "the load balancer"),
        Line(CAPACITY, 1, "at most, while less than 1 GB an hour streams; health checks alone take far less"),
        Line(
            ADDRESS,
            0 if own_address else 1,
            f"{config.eip_allocation_id} costs what it costs already" if own_address else "the load balancer's, in use",
        ),
        Line(EGRESS, 0, "what is streamed meanwhile; the run itself streams nothing"),
        Line(BETWEEN_ZONES, 0, zones),
    )


def hourly(config: Config) -> Decimal:
    """US dollars for each hour that a stack of that config stands, in REGION, without what goes by use."""
    return sum((line.price.usd * line.per_hour for line in lines(config)), Decimal(0))
