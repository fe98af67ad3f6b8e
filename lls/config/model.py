"""The config as the program uses it: every key of the contract, with the rules on its value and across keys.

Pulumi.yaml owns presence, type, default and description of each key; this module owns ranges, patterns and rules.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pulumi.runtime import is_config_secret
from pydantic import ConfigDict, Field, SecretStr, ValidationInfo
from pydantic import field_validator as check
from pydantic.alias_generators import to_camel

from lls import guide
from lls.config import forms
from lls.config.alarms import AlarmKeys
from lls.config.dns import DnsKeys
from lls.naming import INSTANCE_TAG
from lls.oci import is_oci

PLAIN_ROLE: Final = frozenset({"roleArn", "sessionName", "duration"})
"""The properties of a role to assume without which `aws eks get-token` is still that role."""


class Config(AlarmKeys, DnsKeys):
    """Every key of the contract, checked. Field names are the keys in snake_case.

    Three fields come from the AWS provider's own namespace: `region`, `profile`, and `identity`, the values of those
    IDENTITY_KEYS that are set.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_default=True, hide_input_in_errors=True
    )

    profile: Annotated[str, Field(alias="aws:profile")] = ""
    identity: Annotated[Mapping[str, SecretStr], Field(alias="aws:")] = {}
    availability_zone: str
    udp_port: forms.Port
    allowed_cidrs: forms.Sources
    static_ip: forms.Flag
    eip_allocation_id: forms.AllocationId
    vpc_id: forms.VpcId
    public_subnet_id: forms.SubnetId
    node_security_group_id: forms.GroupId
    node_security_group_ids: Annotated[tuple[forms.ListedGroupId, ...], forms.must(forms.unique, "list each only once")]
    target_type: guide.TargetType
    registration: guide.Registration
    targets: tuple[str, ...]
    node_groups: Annotated[tuple[forms.NodeGroup, ...], forms.must(forms.unique, "list each node group only once")]
    allow_other_zones: forms.Flag
    service_name: forms.ServiceName
    service_port: forms.Port
    deregistration_delay: forms.Hour
    drain_seconds: forms.Hour
    stickiness: forms.Flag
    node_selector: Mapping[forms.LabelKey, forms.LabelValue]
    streaming_node_port: forms.NodePort
    health_node_port: forms.NodePort
    health_path: forms.HealthPath
    node_internal_rules: forms.Flag
    chart: str
    image_repository: forms.ImageRepository
    repository_prefix: str
    chart_version: forms.ChartVersion
    image_tag: forms.ImageTag
    registry_config: forms.AuthFile
    namespace: forms.OwnNamespace
    release_name: forms.ReleaseName
    replicas: forms.Positive
    cpu: forms.Quantity
    memory: forms.Quantity
    helm_timeout: forms.Positive
    helm_values: Mapping[str, Any]
    kubeconfig: SecretStr
    kube_context: str
    deletion_protection: forms.Flag
    tags: Mapping[forms.TagKey, forms.TagValue]

    @check("availability_zone")
    @classmethod
    def _zone_of_region(cls, zone: str, info: ValidationInfo) -> str:
        region = info.data.get("region")
        if region and not re.fullmatch(rf"{region}(-[a-z]+-[0-9]+)?[a-z]", zone):
            raise ValueError(f"use a zone of aws:region {region}, such as {region}a (a name, not a zone id)")
        return zone

    @check("node_security_group_ids")
    @classmethod
    def _single_group_among_several(cls, groups: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        single = info.data.get("node_security_group_id")
        if groups and single and single not in groups:
            raise ValueError(f"lls:nodeSecurityGroupId is {single}: list it here too, or leave that key empty")
        return groups

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
        if not targets or not forms.unique(targets):
            raise ValueError("lls:registration static needs at least one target, and each only once")
        instances = info.data.get("target_type") == "instance"
        fits = forms.is_instance if instances else forms.is_ipv4
        wrong = [target for target in targets if not fits(target)]
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
            if not re.fullmatch(forms.OCI_REPOSITORY, chart.removeprefix("oci://")):
                raise ValueError("use oci://HOST/PATH in lower case; the version goes to lls:chartVersion")
        elif chart and not forms.holds(Path.exists, chart):
            raise ValueError("use an OCI reference (oci://...) or the path of an existing chart folder or .tgz")
        return chart

    @check("repository_prefix")
    @classmethod
    def _prefix_in_ecr(cls, prefix: str, info: ValidationInfo) -> str:
        unused = info.data.get("chart") and info.data.get("image_repository")
        path = prefix or info.data.get("cluster_name")
        if path and not unused and not re.fullmatch(forms.ECR_PATH, path):
            raise ValueError(
                f"use a lower-case ECR path, such as {path.lower()!r}: ECR does not take {path!r}"
                + ("" if prefix else ", the cluster's name, which is the default")
            )
        return prefix

    @check("kubeconfig")
    @classmethod
    def _parsed_kubeconfig(cls, kubeconfig: SecretStr) -> SecretStr:
        text = kubeconfig.get_secret_value()
        if text and not forms.contexts(text):
            raise ValueError(
                "give the contents of a kubeconfig with contexts: pulumi config set --secret lls:kubeconfig < FILE"
            )
        return kubeconfig

    @check("kube_context")
    @classmethod
    def _context_of_kubeconfig(cls, context: str, info: ValidationInfo) -> str:
        if context and "kubeconfig" in info.data:
            known = forms.contexts(info.data["kubeconfig"].get_secret_value())
            if context not in known:
                raise ValueError(f"use a context of lls:kubeconfig, which has: {', '.join(known) or 'none'}")
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
