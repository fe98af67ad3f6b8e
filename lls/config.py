"""The stack's configuration: read once, checked as a whole, frozen.

Pulumi.yaml owns presence, type, default and description of each key; this module owns ranges, patterns
and rules across keys.
"""

import difflib
import ipaddress
import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, cast

import pulumi
import yaml
from kubernetes.utils.quantity import parse_quantity  # pyright: ignore[reportUnknownVariableType]
from pulumi.runtime import get_config_env, is_config_secret
from pulumi.runtime.config import CONFIG
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo
from pydantic import field_validator as check
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from lls import guide
from lls.naming import INSTANCE_TAG, Names
from lls.registry import is_oci

NAMESPACE: Final = "lls"
"""Namespace of the keys that Pulumi.yaml declares: the project's name."""

SCHEMA: Final = Path(__file__).parents[1] / "Pulumi.yaml"
"""The file that declares every key of the namespace."""

SECRET_KEYS: Final = ("helmValues", "kubeconfig")
"""Keys that may hold secrets: they stay secrets on their way into the state."""

OTHER_KEYS: Final = ("aws:region", "aws:profile")
"""Keys of the AWS provider that the program reads too."""

IDENTITY_KEYS: Final = (
    "aws:accessKey",
    "aws:secretKey",
    "aws:token",
    "aws:assumeRoles",
    "aws:assumeRoleWithWebIdentity",
    "aws:sharedConfigFiles",
    "aws:sharedCredentialsFiles",
)
"""Those that tell it who it is, besides its profile and the environment."""

PLAIN_ROLE: Final = frozenset({"roleArn", "sessionName", "duration"})
"""The properties of a role to assume without which `aws eks get-token` is still that role."""


def must(accepts: Callable[[Any], bool], expected: str) -> AfterValidator:
    """A validator of a config's value whose error says what is expected."""

    def validate(value: Any) -> Any:
        if not accepts(value):
            raise ValueError(expected)
        return value

    return AfterValidator(validate)


def _match(pattern: str, expected: str) -> AfterValidator:
    return must(lambda text: re.fullmatch(pattern, text) is not None, expected)


def _between(low: int, high: float, expected: str) -> AfterValidator:
    return must(lambda number: low <= number <= high, expected)


def _optional(pattern: str, expected: str) -> AfterValidator:
    return _match(f"({pattern})?", expected)


def _is_cidr(text: str) -> bool:
    try:
        return str(ipaddress.ip_network(text)) == text
    except ValueError:
        return False


def _is_quantity(text: str) -> bool:
    try:
        quantity = parse_quantity(text)
    except ValueError:
        return False
    return quantity.is_finite() and quantity > 0


def _holds(test: Callable[[Path], bool], path: str) -> bool:
    """Whether a path passes a test; one that is too long for any file does not."""
    try:
        return test(Path(path))
    except OSError:
        return False


def _unique(values: tuple[str, ...]) -> bool:
    return len(set(values)) == len(values)


def _path_of_names(separator: str) -> str:
    """Pattern of a repository path: names of lower-case words with separators of that pattern, joined by slashes."""
    name = f"[a-z0-9]+({separator}[a-z0-9]+)*"
    return f"{name}(/{name})*"


def _is_secret(key: str) -> bool:
    return is_config_secret(f"{NAMESPACE}:{key}")


LABEL: Final = r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)"
DNS_LABEL: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
ECR_PATH: Final = _path_of_names(r"[._-]")
OCI_REPOSITORY: Final = r"[A-Za-z0-9.-]+(:[0-9]+)?/" + _path_of_names(r"(\.|_{1,2}|-+)")

Port = Annotated[int, _between(1, 65535, "use a port from 1 to 65535")]
NodePort = Annotated[int, _between(30000, 32767, "use a port from 30000 to 32767, Kubernetes' range of NodePorts")]
Positive = Annotated[int, _between(1, math.inf, "use a whole number of at least 1")]
Cidr = Annotated[str, must(_is_cidr, "use an IPv4 or IPv6 CIDR without host bits, such as 203.0.113.0/24")]
Quantity = Annotated[str, must(_is_quantity, "use a positive Kubernetes quantity, such as 5000m or 24Gi")]
NodeGroup = Annotated[
    str,
    _match(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", "use the name of a managed node group: at most 63 letters, digits, - and _"
    ),
]
LabelKey = Annotated[str, _match(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{LABEL}", "use a Kubernetes label key")]
LabelValue = Annotated[str, _match(rf"{LABEL}?", "use a Kubernetes label value of at most 63 characters")]
TagKey = Annotated[
    str,
    _match(r"(?!(?i:aws:))[\w \t.:/=+@-]{1,128}", "use 1 to 128 letters, digits, spaces and .:/=+-@_, not aws:"),
]
TagValue = Annotated[str, _match(r"[\w \t.:/=+@-]{0,256}", "use at most 256 letters, digits, spaces and .:/=+-@_")]


class Config(BaseModel):
    """Every key of the contract, checked. Field names are the keys in snake_case.

    Three fields come from the AWS provider's own namespace: `region`, `profile`, and `identity`, the values of those
    IDENTITY_KEYS that are set.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_default=True, hide_input_in_errors=True
    )

    region: Annotated[
        str,
        Field(alias="aws:region"),
        _match(r"[a-z]{2,4}(-[a-z]+)+-[0-9]", "use the code of an AWS region, such as us-west-2"),
    ]
    profile: Annotated[str, Field(alias="aws:profile")] = ""
    identity: Annotated[Mapping[str, SecretStr], Field(alias="aws:")] = {}
    cluster_name: Annotated[
        str,
        _match(
            r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
            "use the name of an EKS cluster: 1 to 100 letters, digits, - and _, with a letter or digit first",
        ),
    ]
    instance: Annotated[
        str, _optional(r"[a-z0-9]{1,8}", "use at most 8 lower-case letters and digits, such as b or 2b")
    ]
    availability_zone: str
    udp_port: Port
    allowed_cidrs: tuple[Cidr, ...]
    static_ip: bool
    eip_allocation_id: Annotated[str, _optional(r"eipalloc-[0-9a-f]+", "use an allocation id, such as eipalloc-0a1b")]
    vpc_id: Annotated[str, _optional(r"vpc-[0-9a-f]+", "use a VPC's id, such as vpc-0a1b2c3d")]
    public_subnet_id: Annotated[str, _optional(r"subnet-[0-9a-f]+", "use a subnet's id, such as subnet-0a1b2c3d")]
    node_security_group_id: Annotated[str, _optional(r"sg-[0-9a-f]+", "use a security group's id, such as sg-0a1b2c3d")]
    target_type: guide.TargetType
    registration: guide.Registration
    targets: tuple[str, ...]
    node_groups: Annotated[tuple[NodeGroup, ...], must(_unique, "list each node group only once")]
    allow_other_zones: bool
    service_name: Annotated[
        str, _match(rf"(?=.{{1,63}}$){DNS_LABEL}", "use the name of a service: at most 63 of a-z, 0-9 and -")
    ]
    service_port: Port
    deregistration_delay: Annotated[int, _between(0, 3600, "use 0 to 3600 seconds")]
    drain_seconds: Annotated[int, _between(0, 3600, "use 0 to 3600 seconds")]
    stickiness: bool
    node_selector: Mapping[LabelKey, LabelValue]
    streaming_node_port: NodePort
    health_node_port: NodePort
    health_path: Annotated[
        str, _match(r"/[!-~]{0,1023}", "use a path that begins with / and has no spaces, at most 1024 characters")
    ]
    node_internal_rules: bool
    chart: str
    image_repository: Annotated[
        str,
        _optional(OCI_REPOSITORY, "use HOST/PATH in lower case, without oci://; the tag goes to lls:imageTag"),
    ]
    repository_prefix: str
    chart_version: Annotated[
        str,
        _match(
            r"v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?",
            "use one exact semantic version, such as 2.0.1",
        ),
    ]
    image_tag: Annotated[str, _match(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "use an image tag, such as 2.0.1")]
    registry_config: Annotated[
        str,
        must(
            lambda path: not path or _holds(Path.is_file, path),
            "use the path of an existing docker-style auth file, or leave it empty for an ECR login",
        ),
    ]
    namespace: Annotated[
        str,
        _match(
            rf"(?!default$|kube-)(?=.{{1,63}}$){DNS_LABEL}",
            "use a namespace of this stack's own: at most 63 of a-z, 0-9 and -, neither default nor kube-...",
        ),
    ]
    release_name: Annotated[
        str, _match(rf"(?=.{{1,53}}$){DNS_LABEL}", "use a Helm release name: at most 53 of a-z, 0-9 and -")
    ]
    replicas: Positive
    cpu: Quantity
    memory: Quantity
    helm_timeout: Positive
    helm_values: Mapping[str, Any]
    kubeconfig: SecretStr
    kube_context: str
    deletion_protection: bool
    tags: Mapping[TagKey, TagValue]

    @check("availability_zone")
    @classmethod
    def _zone_of_region(cls, zone: str, info: ValidationInfo) -> str:
        region = info.data.get("region")
        if region and not re.fullmatch(rf"{region}(-[a-z]+-[0-9]+)?[a-z]", zone):
            raise ValueError(f"use a zone of aws:region {region}, such as {region}a (a name, not a zone id)")
        return zone

    @check("allowed_cidrs")
    @classmethod
    def _someone_may_stream(cls, cidrs: tuple[str, ...]) -> tuple[str, ...]:
        if not cidrs or not _unique(cidrs):
            raise ValueError("list at least one CIDR, and each only once")
        return cidrs

    @check("registration")
    @classmethod
    def _registration_of_type(cls, registration: guide.Registration, info: ValidationInfo) -> guide.Registration:
        if registration in ("autoscaling", "binding") and info.data.get("target_type") == "ip":
            raise ValueError(f"{registration} registers instances: set lls:targetType instance, or use nodes or static")
        return registration

    @check("replicas")
    @classmethod
    def _replicas_with_affinity(cls, replicas: int, info: ValidationInfo) -> int:
        if replicas > 1 and info.data.get("stickiness") is False:
            raise ValueError("more than one needs lls:stickiness true, or a client's packets are spread over them")
        return replicas

    @check("targets")
    @classmethod
    def _targets_of_type(cls, targets: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("registration") != "static":
            return targets
        if not targets or not _unique(targets):
            raise ValueError("lls:registration static needs at least one target, and each only once")
        instances = info.data.get("target_type") == "instance"
        wrong = [target for target in targets if not (_is_instance(target) if instances else _is_ipv4(target))]
        if wrong:
            expected = "instance ids, such as i-0a1b2c3d" if instances else "IPv4 addresses of nodes"
            raise ValueError(f"{', '.join(wrong)}: lls:targetType {info.data.get('target_type')} needs {expected}")
        return targets

    @check("streaming_node_port", "health_node_port")
    @classmethod
    def _distinct_ports(cls, port: int, info: ValidationInfo) -> int:
        for other in ("udp_port", "streaming_node_port"):
            if port == info.data.get(other):
                raise ValueError(f"use another port: lls:{to_camel(other)} has this one")
        return port

    @check("chart")
    @classmethod
    def _chart_reference(cls, chart: str) -> str:
        if is_oci(chart):
            if not re.fullmatch(OCI_REPOSITORY, chart.removeprefix("oci://")):
                raise ValueError("use oci://HOST/PATH in lower case; the version goes to lls:chartVersion")
        elif chart and not _holds(Path.exists, chart):
            raise ValueError("use an OCI reference (oci://...) or the path of an existing chart folder or .tgz")
        return chart

    @check("repository_prefix")
    @classmethod
    def _prefix_in_ecr(cls, prefix: str, info: ValidationInfo) -> str:
        unused = info.data.get("chart") and info.data.get("image_repository")
        path = prefix or info.data.get("cluster_name")
        if path and not unused and not re.fullmatch(ECR_PATH, path):
            raise ValueError(
                f"use a lower-case ECR path, such as {path.lower()!r}: ECR does not take {path!r}"
                + ("" if prefix else ", the cluster's name, which is the default")
            )
        return prefix

    @check("kubeconfig")
    @classmethod
    def _parsed_kubeconfig(cls, kubeconfig: SecretStr) -> SecretStr:
        text = kubeconfig.get_secret_value()
        if text and not _contexts(text):
            raise ValueError(
                "give the contents of a kubeconfig with contexts: pulumi config set --secret lls:kubeconfig < FILE"
            )
        return kubeconfig

    @check("kube_context")
    @classmethod
    def _context_of_kubeconfig(cls, context: str, info: ValidationInfo) -> str:
        if context and "kubeconfig" in info.data:
            contexts = _contexts(info.data["kubeconfig"].get_secret_value())
            if context not in contexts:
                raise ValueError(f"use a context of lls:kubeconfig, which has: {', '.join(contexts) or 'none'}")
        return context

    @check("tags")
    @classmethod
    def _tags_beside_our_own(cls, tags: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        own = 6 if info.data.get("instance") else 5
        if len(tags) > 50 - own:
            raise ValueError(f"use at most {50 - own} tags: AWS takes 50, and {own} are this project's")
        if INSTANCE_TAG in tags:
            raise ValueError(f"set the key lls:instance instead: the tag {INSTANCE_TAG} tells whose a thing is")
        return tags

    @property
    def names(self) -> Names:
        """What this installation's things are called, and how they are tagged."""
        return Names(self.cluster_name, self.instance)

    @property
    def target_group_name(self) -> str:
        """The target group's name, which follows its shape."""
        return self.names.target_group(
            port=self.streaming_node_port, target_type=self.target_type, registration=self.registration
        )

    @property
    def token_role(self) -> str:
        """The role that `aws eks get-token` has to assume to be who the AWS provider is; empty for none, or unclear."""
        if set(self.identity) != {"aws:assumeRoles"} or is_config_secret("aws:assumeRoles"):
            return ""
        try:
            [role] = json.loads(self.identity["aws:assumeRoles"].get_secret_value())
            return str(role["roleArn"]) if role.keys() <= PLAIN_ROLE else ""
        except (ValueError, TypeError, KeyError, AttributeError):
            return ""

    @property
    def prefix(self) -> str:
        """Path prefix of chart and image in ECR."""
        return self.repository_prefix or self.cluster_name


def _is_instance(target: str) -> bool:
    return re.fullmatch(r"i-[0-9a-f]{8,17}", target) is not None


def _is_ipv4(target: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(target))
    except ValueError:
        return False


def _contexts(kubeconfig: str) -> list[str]:
    """Names of the contexts of a kubeconfig; none for a text that isn't one."""
    try:
        parsed: Any = yaml.safe_load(kubeconfig)
        return [str(context["name"]) for context in parsed["contexts"]]
    except (yaml.YAMLError, TypeError, KeyError):
        return []


def load() -> Config:
    """The stack's config.

    Raises pulumi.RunError that lists every problem with key, value and remedy.
    """
    exposed = [key for key in schema() if _is_secret(key) and key not in SECRET_KEYS]
    values: dict[str, Any] = {key: _value(key, each) for key, each in schema().items() if key not in exposed}
    values |= {key: _of_provider(key) for key in OTHER_KEYS}
    values["aws:"] = {key: value for key in IDENTITY_KEYS if (value := _of_provider(key))}
    names = {key.partition(":")[2] for key in _keys() if key.startswith(f"{NAMESPACE}:")}
    problems = [
        f"  {NAMESPACE}:{key} = [secret]: AWS and the state would hold it in clear; set it without --secret"
        for key in exposed
    ]
    given = {key: value for key, value in values.items() if value is not None}
    try:
        config = Config.model_validate(dict.fromkeys(names - schema().keys()) | given)
        if not problems:
            return config
    except ValidationError as error:
        problems += [_problem(details) for details in error.errors() if details["loc"][0] not in exposed]
    raise pulumi.RunError("The stack's config needs a change:\n" + "\n".join(problems))


@cache
def schema() -> Mapping[str, Mapping[str, Any]]:
    """The keys that Pulumi.yaml declares, each with type, description and default."""
    return cast(Mapping[str, Mapping[str, Any]], yaml.safe_load(SCHEMA.read_text())["config"])


def _keys() -> set[str]:
    """Every key set for this stack, whether an engine or a test set it."""
    return {*CONFIG.get(), *get_config_env()}


def _of_provider(key: str) -> str | None:
    """The value of a key of the AWS provider."""
    return pulumi.Config("aws").get(key.partition(":")[2])


def _value(key: str, declared: Mapping[str, Any]) -> Any:
    """The value of a declared key, else its default; None where there is neither."""
    text = pulumi.Config(NAMESPACE).get(key)
    if text is None:
        return declared.get("default")
    if declared["type"] not in ("array", "object"):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return _secret_leaves(value) if key in SECRET_KEYS and _is_secret(key) else value


def _secret_leaves(value: Any) -> Any:
    """The same structure with every leaf a secret, so that no part of it reaches the state in clear."""
    if isinstance(value, dict):
        return {key: _secret_leaves(part) for key, part in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_secret_leaves(part) for part in cast(list[Any], value)]
    return pulumi.Output.secret(value)


def _problem(error: ErrorDetails) -> str:
    """One line: key, value and remedy."""
    name, *path = error["loc"]
    key = str(name) if ":" in str(name) else f"{NAMESPACE}:{name}"
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(name), schema(), n=1)
        hint = f"did you mean {NAMESPACE}:{close[0]}?" if close else "Pulumi.yaml lists the keys."
        return f"  {key}: no such key; {hint} Remove it: pulumi config rm {key}"
    if error["type"] == "missing":
        about = schema()[str(name)]["description"] if str(name) in schema() else "The AWS region."
        return f"  {key} is not set. {about} Set it: pulumi config set {key} VALUE"
    secret = is_config_secret(key) or key == f"{NAMESPACE}:kubeconfig"
    value = "[secret]" if secret else json.dumps(error["input"])
    where = "".join(f"[{part}]" for part in path if part != "[key]")
    return f"  {key}{where} = {value}: {error['msg'].removeprefix('Value error, ')}"
