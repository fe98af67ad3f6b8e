"""An emulated AWS on 127.0.0.1: moto, seeded with a world and made as strict as AWS."""

import base64
import os
import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast, overload
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from botocore.retries.standard import ExponentialBackoff
from flask import Flask
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models import availability_zones_and_regions as regions
from moto.ecr.responses import ECRResponse
from moto.elbv2.models import ELBv2Backend, elbv2_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import (  # pyright: ignore[reportMissingTypeStubs]
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.route53.models import route53_backends
from werkzeug.serving import make_server
from werkzeug.test import EnvironBuilder, run_wsgi_app

from lls.waiting import AWS_TRIES
from rehearsal.aws.callers import KEY, Identities
from rehearsal.aws.faults import Fault, Faults, Response, action_of
from rehearsal.aws.health import Answers
from rehearsal.aws.kept import findings_kept, session
from rehearsal.aws.layers import PATH, Layers
from rehearsal.aws.metrics import Metrics, Transition
from rehearsal.aws.names import Resolver
from rehearsal.aws.seed import Seed
from rehearsal.aws.strict_cloudwatch import StrictCloudWatch
from rehearsal.aws.strict_ec2 import NlbInterfaces, StrictEc2
from rehearsal.aws.strict_elbv2 import NlbState, StrictElbv2
from rehearsal.aws.strict_quotas import Quotas
from rehearsal.aws.strict_route53 import StrictRoute53
from rehearsal.serving import serving
from rehearsal.world import World, WorldClock

if TYPE_CHECKING:
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_ecr import ECRClient
    from types_boto3_eks import EKSClient
    from types_boto3_elbv2 import ElasticLoadBalancingv2Client
    from types_boto3_iam import IAMClient
    from types_boto3_service_quotas import ServiceQuotasClient
    from types_boto3_sts import STSClient

CLIENT: Final = "198.51.100.7"
"""Somebody who streams: an address of RFC 5737, for documentation."""

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

    `answers` tells what runs behind the nodes' ports; `cluster_endpoint` is what EKS says of its API. Callers are
    told by their access keys: each sees its own account, and the world is in the account of the key KEY. `calls` are
    all that were made, and `callers` the ARNs that made some, with which.
    `nodes` maps each node's name to its instance id and its private address.
    """

    def __init__(self, world: World, clock: WorldClock, *, cluster_endpoint: str, answers: Answers) -> None:
        """Prepare; nothing runs yet."""
        self._world = world
        self._clock = clock
        self._cluster_endpoint = cluster_endpoint
        self._exit = ExitStack()
        self._clients: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.Lock()
        self._interfaces = NlbInterfaces(clock)
        self._quotas = Quotas(world.region, world.account, world.partition)
        self._quotas.values.update(world.quirks.quotas)
        self._elbv2 = StrictElbv2(world, clock, answers, self._interfaces, self._quotas.values)
        self._route53 = StrictRoute53(world, clock)
        self._resolver = Resolver(world)
        self._metrics = Metrics(clock)
        self._faults = Faults()
        self.identities = Identities(world.account, world.partition, self._faults.allows)
        self._layers = Layers()
        self.calls: list[str] = []
        self.callers: dict[str, set[str]] = {}
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
        self._exit.enter_context(findings_kept())
        self._exit.enter_context(self._zones())
        self._exit.enter_context(patch.object(ExponentialBackoff, "delay_amount", self._back_off))
        self._exit.enter_context(patch.object(ECRResponse, "get_authorization_token", _authorization_token))
        self._exit.enter_context(
            patch.object(
                ECRResponse, "describe_pull_through_cache_rules", self._pull_through_cache_rules(), create=True
            )
        )
        self._exit.enter_context(
            patch.object(
                ECRResponse,
                "get_download_url_for_layer",
                lambda response: self._layers.address(self.endpoint, response),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
                create=True,
            )
        )
        self._serve()
        self._seed()
        self._seeded.set()
        self.calls.clear()
        self.callers.clear()
        StrictEc2(self._interfaces).enforce(self._exit)
        self._elbv2.enforce(self._exit)
        self._route53.enforce(self._exit)
        self._quotas.enforce(self._exit)
        StrictCloudWatch(self._world.region, self._world.account).enforce(self._exit)
        self.identities.enforce(self._exit)
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
    def client(self, service: Literal["iam"]) -> "IAMClient": ...
    @overload
    def client(self, service: Literal["autoscaling"]) -> "AutoScalingClient": ...
    @overload
    def client(self, service: Literal["service-quotas"]) -> "ServiceQuotasClient": ...
    @overload
    def client(self, service: str, *, region_name: str = "") -> Any: ...
    def client(self, service: str, *, region_name: str = "") -> Any:
        """A client of a service, here or in another region. It does not retry, so that no refusal goes unseen."""
        return self._client(service, region_name or self._world.region, 1)

    def patient_client(self, service: str, *, region_name: str = "") -> Any:
        """A client that tries again as often as the operations do, in the world's time."""
        return self._client(service, region_name or self._world.region, AWS_TRIES)

    def _client(self, *kind: Any) -> Any:
        with self._lock:
            if kind not in self._clients:
                client = _client(*kind)
                client.meta.events.register("before-send", self._answer_here)
                self._clients[kind] = client
        return self._clients[kind]

    def _answer_here(self, request: Any, **_: object) -> AWSResponse | None:
        """Answer a call of one of our own clients without a detour over the network; that is twice as fast.

        Where calls may hang, they take the network, so that who waits for them can give up. Raises KilledError.
        """
        self._clock.check()
        where = urlsplit(str(request.url))
        if self._faults.hang:
            request.url = where._replace(netloc=urlsplit(self.endpoint).netloc).geturl()
            return None
        builder = EnvironBuilder(
            base_url=self.endpoint,
            path=where.path,
            query_string=where.query,
            method=request.method,
            headers=[(key, _text(value)) for key, value in request.headers.items()],
            data=request.body or b"",
        )
        chunks, status, headers = run_wsgi_app(self._application, builder.get_environ())
        body = b"".join(chunks)
        return AWSResponse(request.url, int(status.partition(" ")[0]), cast(Any, HeadersDict(headers)), _Raw(body))

    @property
    def quotas(self) -> dict[str, int]:
        """The service quotas by code. They may be changed at any time."""
        return self._quotas.values

    @property
    def denied(self) -> set[str]:
        """Actions, as IAM names them and with wildcards, that the caller may not use. May be changed at any time."""
        return self._faults.denied

    def refuse(self, action: str, code: str, *, message: str | None = None, times: int | None = None) -> Fault:
        """Refuse calls of an action, as in `calls` or as IAM names it, with wildcards; only so many `times`.

        AccessDenied, ExpiredToken, Throttling and InternalFailure are called as the service calls them, any
        other code as it is given. Ends with the answer's `lift()`, or as a context manager.
        """
        return self._faults.add(Fault(action, code, message=message, times=times))

    def lose(self, action: str, *, times: int | None = None) -> Fault:
        """Do what calls of an action ask for, and lose the answer."""
        return self._faults.add(Fault(action, "InternalFailure", after=True, times=times))

    def hang(self, action: str, *, after: bool = False, times: int | None = None) -> Fault:
        """Leave calls of an action without an answer until this is lifted, before or `after` they did their work."""
        return self._faults.add(Fault(action, after=after, times=times))

    def set_nlb_state(self, state: NlbState) -> None:
        """Let load balancers end in that state from now on; `active` after the usual time."""
        self._elbv2.final_state = state

    @property
    def names(self) -> dict[str, str]:
        """Names of zones that are somebody else's, and what they stand for: a name or an address. May be changed."""
        return self._resolver.others

    def resolve(self, name: str) -> Sequence[str]:
        """The addresses that everybody gets for a name. Raises socket.gaierror, as the system's resolver does."""
        with self._lock:
            return self._resolver.resolve(name)

    def leftovers(self) -> tuple[str, ...]:
        """What exists now and did not when the world began."""
        return tuple(sorted(self._inventory() - self._before))

    def media_obstacle(self, target_group_arn: str, target: str, client: str = CLIENT) -> str | None:
        """What first stops that client's media on its way to a target; None where nothing does."""
        with self._lock:
            group = self._elbv2_backend.target_groups[target_group_arn]
            return self._elbv2.reachability(self._elbv2_backend).media_obstacle(group, target, client)

    def obstacles(self, client: str = CLIENT, *, draining: bool = False) -> list[str]:
        """What stops media or health checks on their way to registered targets, and media to those still draining."""
        with self._lock:
            reachability = self._elbv2.reachability(self._elbv2_backend)
            groups = self._elbv2_backend.target_groups
            registered = [(group, target) for group in groups.values() for target in group.targets]
            left = [(groups[arn], target) for arn, target in self._elbv2.draining() if draining and arn in groups]
            media = [reachability.media_obstacle(*target, client, draining=True) for target in registered + left]
            checks = [reachability.health(*target) for target in registered]
            return [obstacle for obstacle in media if obstacle] + [
                check.reason for check in checks if check.state == "unhealthy"
            ]

    def pass_minute(self) -> list[Transition]:
        """Let a minute pass of which CloudWatch gets the metrics; the alarms that changed their states."""
        with self._lock:
            reachability = self._elbv2.reachability(self._elbv2_backend)
            return self._metrics.pass_minute(self._elbv2_backend, self._cloudwatch_backend, reachability)

    def alarm_states(self) -> dict[str, str]:
        """The state of each alarm: OK, ALARM or INSUFFICIENT_DATA."""
        with self._lock:
            return {alarm.name: alarm.state_value for alarm in self._cloudwatch_backend.alarms.values()}

    @property
    def _cloudwatch_backend(self) -> CloudWatchBackend:
        return cloudwatch_backends[self._world.account][self._world.region]

    @property
    def _ec2_backend(self) -> EC2Backend:
        return ec2_backends[self._world.account][self._world.region]

    @property
    def _elbv2_backend(self) -> ELBv2Backend:
        return elbv2_backends[self._world.account][self._world.region]

    def _inventory(self) -> set[str]:
        with self._lock:
            ec2, elbv2, cloudwatch = self._ec2_backend, self._elbv2_backend, self._cloudwatch_backend
            groups = [group for of_vpc in ec2.groups.values() for group in of_vpc.values()]
            rules = [rule for group in groups for rule in (*group.ingress_rules, *group.egress_rules)]
            zones = route53_backends[self._world.account][self._world.partition].zones.values()
            return {
                *(f"security group {group.id} {group.name}" for group in groups),
                *(f"rule {rule.id} of {rule.group_id}" for rule in rules),
                *(f"address {address.allocation_id}" for address in ec2.addresses),
                *(f"load balancer {balancer.name}" for balancer in elbv2.load_balancers.values()),
                *(f"listener {arn}" for balancer in elbv2.load_balancers.values() for arn in balancer.listeners),
                *(f"target group {group.name}" for group in elbv2.target_groups.values()),
                *(f"record {record.name} {record.type}" for zone in zones for record in zone.rrsets),
                *(f"network interface {interface.id}" for interface in self._interfaces.present()),
                *(f"alarm {name}" for name in cloudwatch.alarms),
                *(f"dashboard {name}" for name in cloudwatch.dashboards),
            }

    # --- The server

    def _serve(self) -> None:
        dispatch = _moto()
        seeded = threading.Event()
        self._seeded = seeded

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = BytesIO(body)
            if environ["PATH_INFO"].startswith(PATH):
                return self._layers.serve(environ["PATH_INFO"], start_response)
            action = action_of(environ, body)
            self.calls.append(action)
            caller = self.identities.caller(environ).arn
            self.callers.setdefault(caller, set()).add(action)
            if seeded.is_set():
                if refusal := self.identities.refuse(action, environ) or self._faults.meet(action, caller):
                    return _send(refusal, start_response)
                self._clock.sleep(self._world.latencies.api_call)
            head: list[Any] = []
            with self._lock:  # moto's state is not made for threads
                answer = list(dispatch(environ, lambda *line: head.append(line)))  # pyright: ignore[reportUnknownLambdaType]
            if seeded.is_set() and (loss := self._faults.meet(action, caller, after=True)):
                return _send(loss, start_response)
            start_response(*head[-1])
            return answer

        self._application = application
        server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_QuietHandler)
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        self._exit.callback(self._close_clients)
        self._exit.enter_context(serving(server))
        self._exit.callback(self._faults.lift_all)

    def _seed(self) -> None:
        seed = Seed(self._world, self.client, self._cluster_endpoint, self._layers).perform()
        self.nodes, self.vpc_id, self.subnets = seed.nodes, seed.vpc_id, seed.subnets
        self.node_security_group_ids = seed.node_security_group_ids
        self.cluster_security_group_id = seed.cluster_security_group_id

    def _pull_through_cache_rules(self) -> Callable[[ECRResponse], ActionResult]:
        """Moto has no such rules. A world's are in its own account and region."""
        world = self._world

        def describe(response: ECRResponse) -> ActionResult:
            registry: str = response._get_param("registryId") or response.current_account  # pyright: ignore[reportPrivateUsage]
            here = (registry, response.region) == (world.account, world.region)
            rules = [
                {"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": upstream, "registryId": registry}
                for prefix, upstream in world.quirks.pull_through_cache.items()
                if here
            ]
            return ActionResult({"pullThroughCacheRules": rules})

        return describe

    def _back_off(self, context: Any) -> float:
        """Wait before another attempt: in the world's time, as long as the SDK would at most."""
        self._clock.sleep(min(2.0 ** (context.attempt_number - 1), 20.0))
        return 0.0

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.meta.events.unregister("before-send", self._answer_here)
            client.close()
        self._clients.clear()

    @contextmanager
    def _zones(self) -> Generator[None]:
        """Moto knows some zones of some regions; a world has those that it names."""
        world = self._world
        names = sorted({world.zone(subnet.zone) for subnet in (*world.subnets, *world.nodes)})
        known = {zone.name: zone.zone_id for zone in regions.RegionsAndZonesBackend.zones.get(world.region, ())}
        zones = [
            regions.Zone(
                region_name=world.region,
                name=name,
                zone_id=known.get(name, f"id-{name}"),
                zone_type=world.zone_type(name),
            )
            for name in names
        ]
        with patch.dict(regions.RegionsAndZonesBackend.zones, {world.region: zones}):
            yield


class _QuietHandler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        pass


def _send(answer: Response, start_response: Any) -> Iterable[bytes]:
    length = str(len(answer.body))
    start_response(f"{answer.status} Refused", [("Content-Type", answer.content_type), ("Content-Length", length)])
    return [answer.body]


class _Raw(BytesIO):
    """A response's body, as botocore reads it."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@cache
def _client(service: str, region: str, attempts: int) -> Any:
    """A client for all worlds, one after another: it takes long to make, and each call of its teaches it something."""
    return session().client(
        service,
        endpoint_url="http://127.0.0.1",
        region_name=region,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=64,
            parameter_validation=False,
            user_agent="rehearsal",  # botocore's own is put together anew for every call
        ),
    )


@cache
def _moto() -> DomainDispatcherApplication:
    """Moto's application. It holds no state, and takes half a second to build."""
    return DomainDispatcherApplication(_backend_app)


def _backend_app(service: Any) -> Flask:
    """A service's application, without moto's help with wrong forms: it makes a class for every call."""
    made = create_backend_app(service)
    made.debug = False
    made.config["PROPAGATE_EXCEPTIONS"] = True
    return made


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
