"""The vocabulary of the config: what a value must look like, and what is said of one that does not."""

import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from kubernetes.utils.quantity import parse_quantity  # pyright: ignore[reportUnknownVariableType]
from pydantic import AfterValidator, BeforeValidator

from lls.auth_file import AuthFileError, read_auth_file
from lls.config.values import as_text, written_as
from lls.files import read_yaml


def must(accepts: Callable[[Any], bool], expected: str) -> AfterValidator:
    """A validator of a config's value whose error says what is expected."""

    def validate(value: Any) -> Any:
        if not accepts(value):
            raise ValueError(expected)
        return value

    return AfterValidator(validate)


def match(pattern: str, expected: str) -> AfterValidator:
    """A validator of a text that must match a pattern as a whole."""
    return must(lambda text: re.fullmatch(pattern, text) is not None, expected)


def between(low: int, high: float, expected: str) -> AfterValidator:
    """A validator of a number, both bounds included."""
    return must(lambda number: low <= number <= high, expected)


def optional(pattern: str, expected: str) -> AfterValidator:
    """A validator of a text that may be empty."""
    return match(f"({pattern})?", expected)


def _readable_auth_file(path: str) -> str:
    """The path of an auth file that can be read, or of none."""
    if path and not holds(Path.is_file, path):
        raise ValueError("use the path of an existing docker-style auth file, or leave it empty for an ECR login")
    try:
        if path:
            read_auth_file(path)
    except AuthFileError as error:
        raise ValueError(f"the docker-style auth file cannot be used: {error}") from None
    return path


def _is_source(text: str) -> bool:
    try:
        return is_prefix_list(text) or str(ipaddress.IPv4Network(text)) == text
    except ValueError:
        return False


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_interface(text).version == 6
    except ValueError:
        return False


def _is_quantity(text: str) -> bool:
    try:
        quantity = parse_quantity(text)
    except ValueError:
        return False
    return quantity.is_finite() and quantity > 0


def holds(test: Callable[[Path], bool], path: str) -> bool:
    """Whether a path passes a test; one that is too long for any file does not."""
    try:
        return test(Path(path))
    except OSError:
        return False


def unique(values: tuple[str, ...]) -> bool:
    """Whether no value occurs twice."""
    return len(set(values)) == len(values)


def _path_of_names(separator: str) -> str:
    """Pattern of a repository path: names of lower-case words with separators of that pattern, joined by slashes."""
    name = f"[a-z0-9]+({separator}[a-z0-9]+)*"
    return f"{name}(/{name})*"


LABEL: Final = r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)"
DNS_LABEL: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
ECR_PATH: Final = _path_of_names(r"[._-]")
OCI_REPOSITORY: Final = r"[A-Za-z0-9.-]+(:[0-9]+)?/" + _path_of_names(r"(\.|_{1,2}|-+)")

Flag = Annotated[bool, written_as("true|false", "use true or false")]
Whole = Annotated[int, written_as("[-+]?[0-9]{1,18}", "use a whole number")]
Port = Annotated[Whole, between(1, 65535, "use a port from 1 to 65535")]
NodePort = Annotated[Whole, between(30000, 32767, "use a port from 30000 to 32767, Kubernetes' range of NodePorts")]
Positive = Annotated[Whole, between(1, math.inf, "use a whole number of at least 1")]
Source = Annotated[
    str,
    must(
        lambda text: not _is_ipv6(text),
        "the load balancer speaks IPv4 only, so no client would ever match: use the IPv4 addresses of who may stream",
    ),
    must(
        _is_source,
        "use an IPv4 CIDR without host bits, such as 203.0.113.0/24, or a managed prefix list, such as pl-0a1b2c3d",
    ),
]
Sources = Annotated[
    tuple[Source, ...],
    must(lambda sources: sources and unique(sources), "list at least one CIDR or prefix list, and each only once"),
]
Quantity = Annotated[str, must(_is_quantity, "use a positive Kubernetes quantity, such as 5000m or 24Gi")]
NodeGroup = Annotated[
    str,
    match(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", "use the name of a managed node group: at most 63 letters, digits, - and _"
    ),
]
LabelKey = Annotated[str, match(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{LABEL}", "use a Kubernetes label key")]
LabelValue = Annotated[
    str, BeforeValidator(as_text), match(rf"{LABEL}?", "use a Kubernetes label value of at most 63 characters")
]
TagKey = Annotated[
    str,
    match(r"(?!(?i:aws:))[\w \t.:/=+@-]{1,128}", "use 1 to 128 letters, digits, spaces and .:/=+-@_, not aws:"),
]
TagValue = Annotated[
    str,
    BeforeValidator(as_text),
    match(r"[\w \t.:/=+@-]{0,256}", "use at most 256 letters, digits, spaces and .:/=+-@_"),
]
RegionCode = Annotated[str, match(r"[a-z]{2,4}(-[a-z]+)+-[0-9]", "use the code of an AWS region, such as us-west-2")]
ClusterName = Annotated[
    str,
    match(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
        "use the name of an EKS cluster: 1 to 100 letters, digits, - and _, with a letter or digit first",
    ),
]
InstanceName = Annotated[
    str, optional(r"[a-z0-9]{1,8}", "use at most 8 lower-case letters and digits, such as b or 2b")
]
AllocationId = Annotated[str, optional(r"eipalloc-[0-9a-f]+", "use an allocation id, such as eipalloc-0a1b")]
VpcId = Annotated[str, optional(r"vpc-[0-9a-f]+", "use a VPC's id, such as vpc-0a1b2c3d")]
SubnetId = Annotated[str, optional(r"subnet-[0-9a-f]+", "use a subnet's id, such as subnet-0a1b2c3d")]
GroupId = Annotated[str, optional(r"sg-[0-9a-f]+", "use a security group's id, such as sg-0a1b2c3d")]
ListedGroupId = Annotated[str, match(r"sg-[0-9a-f]+", "use a security group's id, such as sg-0a1b2c3d")]
ServiceName = Annotated[
    str, match(rf"(?=.{{1,63}}$){DNS_LABEL}", "use the name of a service: at most 63 of a-z, 0-9 and -")
]
HealthPath = Annotated[
    str, match(r"/[!-~]{0,1023}", "use a path that begins with / and has no spaces, at most 1024 characters")
]
ImageRepository = Annotated[
    str, optional(OCI_REPOSITORY, "use HOST/PATH in lower case, without oci://; the tag goes to lls:imageTag")
]
ChartVersion = Annotated[
    str,
    match(
        r"v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?",
        "use one exact semantic version, such as 2.0.1",
    ),
]
ImageTag = Annotated[str, match(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "use an image tag, such as 2.0.1")]
AuthFile = Annotated[str, AfterValidator(_readable_auth_file)]
OwnNamespace = Annotated[
    str,
    match(
        rf"(?!default$|kube-)(?=.{{1,63}}$){DNS_LABEL}",
        "use a namespace of this stack's own: at most 63 of a-z, 0-9 and -, neither default nor kube-...",
    ),
]
ReleaseName = Annotated[
    str, match(rf"(?=.{{1,53}}$){DNS_LABEL}", "use a Helm release name: at most 53 of a-z, 0-9 and -")
]
Hour = Annotated[Whole, between(0, 3600, "use 0 to 3600 seconds")]


def is_instance(target: str) -> bool:
    """Whether a target is the id of an EC2 instance."""
    return re.fullmatch(r"i-[0-9a-f]{8,17}", target) is not None


def is_ipv4(target: str) -> bool:
    """Whether a target is an IPv4 address."""
    try:
        return bool(ipaddress.IPv4Address(target))
    except ValueError:
        return False


def is_prefix_list(source: str) -> bool:
    """Whether a source is the id of a managed prefix list."""
    return re.fullmatch(r"pl-[0-9a-f]+", source) is not None


def contexts(kubeconfig: str) -> list[str]:
    """Names of the contexts of a kubeconfig; none for a text that isn't one."""
    try:
        parsed: Any = read_yaml(kubeconfig)
        return [str(context["name"]) for context in parsed["contexts"]]
    except (yaml.YAMLError, TypeError, KeyError):
        return []
