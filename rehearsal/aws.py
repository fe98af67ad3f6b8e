"""An emulated AWS on 127.0.0.1: moto, seeded with a world and made as strict as AWS."""

import base64
import ipaddress
import os
import re
import threading
import uuid
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Literal, Self, overload
from unittest.mock import patch
from urllib.parse import parse_qs

import boto3
from botocore.config import Config
from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend, ec2_backends, elastic_ip_addresses, security_groups, subnets, vpcs
from moto.ec2.models import availability_zones_and_regions as regions
from moto.ecr.responses import ECRResponse
from moto.eks.models import eks_backends
from moto.elbv2.models import ELBv2Backend, elbv2_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import (  # pyright: ignore[reportMissingTypeStubs]
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from rehearsal.health import Answers
from rehearsal.strict_ec2 import Interfaces, StrictEc2
from rehearsal.strict_elbv2 import StrictElbv2
from rehearsal.world import Clock, Node, World

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ecr import ECRClient
    from types_boto3_eks import EKSClient
    from types_boto3_elbv2 import ElasticLoadBalancingv2Client
    from types_boto3_sts import STSClient

VPC_CIDR: Final = "10.0.0.0/16"
KEY: Final = "rehearsal"
"""Access key and secret key of the emulated account."""

ISOLATION: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
"""Keeps out the user's own AWS settings, and the images that moto would load."""


class Aws:
    """The AWS of a world. A context manager: inside it, it listens on a free port of 127.0.0.1.

    `answers` tells what runs behind the nodes' ports; `cluster_endpoint` is what EKS says of its API.
    `nodes` maps each node's name to its instance id and its private address.
    """

    def __init__(self, world: World, clock: Clock, *, cluster_endpoint: str, answers: Answers) -> None:
        """Prepare; nothing runs yet."""
        self._world = world
        self._clock = clock
        self._cluster_endpoint = cluster_endpoint
        self._exit = ExitStack()
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._interfaces = Interfaces(clock)
        self._elbv2 = StrictElbv2(world, clock, answers, self._interfaces)
        self.calls: list[str] = []
        self.nodes: dict[str, tuple[str, str]] = {}
        self.endpoint = ""
        self.vpc_id = ""
        self.subnets: dict[str, list[str]] = {}
        self.node_security_group_ids: tuple[str, ...] = ()
        self.cluster_security_group_id = ""

    def __enter__(self) -> Self:
        """Start, seed, and only then be strict and slow."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        environment = {**kept, **ISOLATION, "MOTO_ACCOUNT_ID": self._world.account}
        self._exit.enter_context(patch.dict(os.environ, environment, clear=True))
        moto_api_backend.reset()
        self._exit.callback(moto_api_backend.reset)
        self._exit.enter_context(self._zones())
        self._exit.enter_context(patch.object(ECRResponse, "get_authorization_token", _authorization_token))
        self._serve()
        self._seed()
        self.calls.clear()
        StrictEc2(self._interfaces).enforce(self._exit)
        self._elbv2.enforce(self._exit)
        self._before = self._inventory()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and make moto lax and empty again."""
        self._exit.close()

    @overload
    def client(self, service: Literal["ec2"]) -> "EC2Client": ...
    @overload
    def client(self, service: Literal["elbv2"]) -> "ElasticLoadBalancingv2Client": ...
    @overload
    def client(self, service: Literal["eks"]) -> "EKSClient": ...
    @overload
    def client(self, service: Literal["ecr"]) -> "ECRClient": ...
    @overload
    def client(self, service: Literal["sts"]) -> "STSClient": ...
    @overload
    def client(self, service: str) -> Any: ...
    def client(self, service: str) -> Any:
        """A client of a service. It does not retry, so that no refusal goes unseen."""
        if service not in self._clients:
            self._clients[service] = _session().client(
                service,
                endpoint_url=self.endpoint,
                region_name=self._world.region,
                aws_access_key_id=KEY,
                aws_secret_access_key=KEY,
                config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64, parameter_validation=False),
            )
        return self._clients[service]

    def leftovers(self) -> tuple[str, ...]:
        """What exists now and did not when the world began."""
        return tuple(sorted(self._inventory() - self._before))

    def media_obstacle(self, target_group_arn: str, target: str, client: str = "198.51.100.7") -> str | None:
        """What first stops that client's media on its way to a target; None where nothing does."""
        with self._lock:
            group = self._elbv2_backend.target_groups[target_group_arn]
            return self._elbv2.network(self._elbv2_backend).media_obstacle(group, target, client)

    @property
    def _ec2_backend(self) -> EC2Backend:
        return ec2_backends[self._world.account][self._world.region]

    @property
    def _elbv2_backend(self) -> ELBv2Backend:
        return elbv2_backends[self._world.account][self._world.region]

    def _inventory(self) -> set[str]:
        with self._lock:
            ec2, elbv2 = self._ec2_backend, self._elbv2_backend
            groups = [group for each in ec2.groups.values() for group in each.values()]
            rules = [rule for group in groups for rule in (*group.ingress_rules, *group.egress_rules)]
            return {
                *(f"security group {group.id} {group.name}" for group in groups),
                *(f"rule {rule.id} of {rule.group_id}" for rule in rules),
                *(f"address {address.allocation_id}" for address in ec2.addresses),
                *(f"load balancer {balancer.name}" for balancer in elbv2.load_balancers.values()),
                *(f"listener {arn}" for balancer in elbv2.load_balancers.values() for arn in balancer.listeners),
                *(f"target group {group.name}" for group in elbv2.target_groups.values()),
                *(f"network interface {each.id}" for each in self._interfaces.present()),
            }

    # --- The server

    def _serve(self) -> None:
        dispatch = _moto()
        seeded = threading.Event()
        self._seeded = seeded

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = BytesIO(body)
            self.calls.append(_action(environ, body))
            if seeded.is_set():
                self._clock.sleep(self._world.latencies.api_call)
            with self._lock:  # moto's state is not made for threads
                return list(dispatch(environ, start_response))

        server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_QuietHandler)
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self._exit.callback(self._close_clients)
        self._exit.callback(server.server_close)
        self._exit.callback(thread.join)
        self._exit.callback(server.shutdown)

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    @contextmanager
    def _zones(self) -> Generator[None]:
        """Moto knows some zones of some regions; a world has those that it names."""
        world = self._world
        names = sorted({world.zone(each.zone) for each in (*world.subnets, *world.nodes)})
        zones = [regions.Zone(region_name=world.region, name=name, zone_id=f"id-{name}") for name in names]
        with patch.dict(regions.RegionsAndZonesBackend.zones, {world.region: zones}):
            yield

    # --- The world

    def _seed(self) -> None:
        world, ec2 = self._world, self.client("ec2")
        ec2.describe_vpcs()  # moto makes its default VPC at the first call, which must not get the wanted id
        with _wanted_id(vpcs, "random_vpc_id", world.vpc_id):
            self.vpc_id = ec2.create_vpc(CidrBlock=VPC_CIDR)["Vpc"].get("VpcId", "")
        self._seed_subnets()
        owned = f"kubernetes.io/cluster/{world.cluster}"
        self.cluster_security_group_id = self._group(
            f"eks-cluster-sg-{world.cluster}-1", {owned: "owned", "aws:eks:cluster-name": world.cluster}
        )
        wanted = [world.node_security_group_id] + [None] * world.quirks.node_groups
        self.node_security_group_ids = tuple(
            self._group(f"{world.cluster}-node-{number}", {owned: "owned"}, wanted[number])
            for number in range(world.quirks.node_groups)
        )
        if world.node_security_group_id and not self.node_security_group_ids:
            self._group("nodes", {}, world.node_security_group_id)
        if world.eip_allocation_id:
            with _wanted_id(elastic_ip_addresses, "random_eip_allocation_id", world.eip_allocation_id):
                ec2.allocate_address(Domain="vpc")
        image = ec2.register_image(Name="node")["ImageId"]
        for node in sorted(world.nodes, key=lambda node: node.ip is None):  # before moto gives the address away
            self.nodes[node.name] = self._seed_node(node, image)
        self._seed_cluster()
        self._seeded.set()

    def _seed_subnets(self) -> None:
        ec2 = self.client("ec2")
        gateway = ec2.create_internet_gateway()["InternetGateway"].get("InternetGatewayId", "")
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc_id)
        routes = ec2.create_route_table(VpcId=self.vpc_id)["RouteTable"].get("RouteTableId", "")
        ec2.create_route(RouteTableId=routes, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        blocks = ipaddress.ip_network(VPC_CIDR).subnets(new_prefix=20)
        for subnet in self._world.subnets:
            with _wanted_id(subnets, "random_subnet_id", subnet.id):
                made = ec2.create_subnet(
                    VpcId=self.vpc_id,
                    CidrBlock=str(next(blocks)),
                    AvailabilityZone=self._world.zone(subnet.zone),
                )["Subnet"].get("SubnetId", "")
            if subnet.public:
                ec2.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": True})
                ec2.associate_route_table(RouteTableId=routes, SubnetId=made)
            of_zone = self.subnets.setdefault(subnet.zone, [])
            of_zone.insert(0 if subnet.public else len(of_zone), made)

    def _group(self, name: str, tags: Mapping[str, str], wanted: str | None = None) -> str:
        with _wanted_id(security_groups, "random_security_group_id", wanted):
            return self.client("ec2").create_security_group(
                GroupName=name,
                Description=name,
                VpcId=self.vpc_id,
                TagSpecifications=[
                    {"ResourceType": "security-group", "Tags": [{"Key": key, "Value": tags[key]} for key in tags]}
                ],
            )["GroupId"]

    def _seed_node(self, node: Node, image: str) -> tuple[str, str]:
        """An instance in its zone's last subnet, which is a private one where there is any."""
        groups = list(self.node_security_group_ids) or [self.cluster_security_group_id]
        subnet_id = self.subnets.get(node.zone, [*self.subnets.values()][-1])[-1]
        backend = self._ec2_backend
        block = ipaddress.ip_network(backend.get_subnet(subnet_id).cidr_block)
        fits = node.ip and ipaddress.ip_address(node.ip) in block
        address: Any = {"PrivateIpAddress": node.ip} if fits else {}
        [instance] = self.client("ec2").run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet_id,
            SecurityGroupIds=groups,
            **address,
        )["Instances"]
        made = instance.get("InstanceId", "")
        if node.ip and not fits:
            self._force_address(made, node.ip)
        if node.instance_id:
            backend.get_instance(made).id = made = node.instance_id
        return made, node.ip or instance.get("PrivateIpAddress", "")

    def _force_address(self, instance_id: str, address: str) -> None:
        """Give an instance an address outside its subnet: the stack's own VPC has other blocks than this one."""
        backend = self._ec2_backend
        backend.get_instance(instance_id).nics[0].private_ip_address = address
        wanted = ipaddress.ip_network(f"{address}/24", strict=False)
        blocks = backend.get_vpc(self.vpc_id).get_cidr_block_association_set()
        if not any(wanted.overlaps(ipaddress.ip_network(str(each["cidr_block"]))) for each in blocks):
            self.client("ec2").associate_vpc_cidr_block(VpcId=self.vpc_id, CidrBlock=str(wanted))

    def _seed_cluster(self) -> None:
        world = self._world
        self.client("eks").create_cluster(
            name=world.cluster,
            roleArn=f"arn:{world.partition}:iam::{world.account}:role/cluster",
            resourcesVpcConfig={
                "subnetIds": [subnet for each in self.subnets.values() for subnet in each],
                "securityGroupIds": [],
            },
        )
        cluster = eks_backends[world.account][world.region].describe_cluster(world.cluster)
        cluster.endpoint = self._cluster_endpoint
        cluster.certificate_authority = {"data": base64.b64encode(b"no certificate: plain HTTP").decode()}
        cluster.resources_vpc_config |= {
            "vpcId": self.vpc_id,
            "clusterSecurityGroupId": self.cluster_security_group_id,
        }


class _QuietHandler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        pass


@cache
def _session() -> Any:
    """Boto3's session. It holds no credentials of ours, and reads the services' descriptions only once."""
    return boto3.Session()


@cache
def _moto() -> DomainDispatcherApplication:
    """Moto's application. It holds no state, and takes half a second to build."""
    return DomainDispatcherApplication(create_backend_app)


def _wanted_id(module: Any, generator: str, wanted: str | None) -> Any:
    """Let moto's next generated id be the wanted one."""
    return patch.object(module, generator, lambda: wanted) if wanted else ExitStack()


def _authorization_token(response: ECRResponse) -> ActionResult:
    """ECR's login: another token every time, as AWS gives."""
    region = response.region
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    registries: list[str] = response._get_param("registryIds") or [response.current_account]  # pyright: ignore[reportPrivateUsage]
    data = [
        {
            "authorizationToken": base64.b64encode(f"AWS:{uuid.uuid4()}".encode()).decode(),
            "expiresAt": datetime.now(UTC) + timedelta(hours=12),
            "proxyEndpoint": f"https://{registry}.dkr.ecr.{region}.{suffix}",
        }
        for registry in registries
    ]
    return ActionResult({"authorizationData": data})


def _action(environ: Mapping[str, Any], body: bytes) -> str:
    """The IAM-like name of a call, such as elasticloadbalancing:CreateLoadBalancer."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    service = scope.group(1) if scope else "unknown"
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return f"{service}:{target.rpartition('.')[2]}"
    if action := parse_qs(body.decode(errors="replace")).get("Action"):
        return f"{service}:{action[0]}"
    return f"{service}:{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
