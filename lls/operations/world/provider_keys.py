"""What a stack's file tells Pulumi's AWS provider about who it is and where it looks: each key, and its checks."""

import difflib
import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import pulumi
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from lls.config.forms import must
from lls.config.values import in_words
from lls.operations.program.stack_file import PROJECT, Stack
from lls.operations.world.partition import partition_of

HARMLESS: Final = frozenset(
    {
        "aws:defaultTags",
        "aws:ignoreTags",
        "aws:maxRetries",
        "aws:retryMode",
        "aws:s3UsEast1RegionalEndpoint",
        "aws:s3UsePathStyle",
        "aws:skipCredentialsValidation",
        "aws:skipRegionValidation",
        "aws:skipRequestingAccountId",
        "aws:tagPolicyCompliance",
        "aws:tokenBucketRateLimiterCapacity",
        "aws:userAgents",
    }
)
"""Keys of the provider that change neither who it is nor where it looks."""

REFUSED: Final[Mapping[str, str]] = {
    "aws:ec2MetadataServiceEndpoint": "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "aws:ec2MetadataServiceEndpointMode": "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "aws:httpProxy": "HTTP_PROXY",
    "aws:httpsProxy": "HTTPS_PROXY",
    "aws:noProxy": "NO_PROXY",
}
"""Keys of the provider that cannot be honoured, and what to set in the environment instead: both read that."""

SESSION_NAME: Final = "lls"
"""The name of a role's session where the stack gives none."""

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def _from_json(value: Any) -> Any:
    """A list or an object, which a stack's config holds as text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("give a list or an object, as the provider's documentation shows it") from None


def _seconds(value: Any) -> Any:
    """Whole seconds of a duration as Go writes it, such as 1h30m."""
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", str(value))
    if "".join(map("".join, parts)) != value:
        raise ValueError("use a duration such as 1h or 1h30m")
    return math.floor(sum(float(number) * _UNITS[unit] for number, unit in parts))


def _path(value: str) -> str:
    """A path as the provider reads it, which runs in the project's folder."""
    return str(PROJECT / Path(os.path.expandvars(value)).expanduser()) if value else value


def _role(arn: str, info: ValidationInfo) -> str:
    if not re.fullmatch(r"arn:[^:]+:iam::\d{12}:role/.+", arn):
        example = partition_of(info.context or "").arn("iam", "role/deploy", account="123456789012")
        raise ValueError(f"use a role's ARN, such as {example}")
    return arn


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


File = Annotated[
    str, AfterValidator(_path), must(lambda path: not path or Path(path).is_file(), "there is no such file")
]
RoleArn = Annotated[str, AfterValidator(_role)]
AccountIds = Annotated[
    list[Annotated[str, must(lambda text: re.fullmatch(r"\d{12}", text) is not None, "use 12 digits, in quotes")]],
    BeforeValidator(_from_json),
]
Duration = Annotated[int, BeforeValidator(_seconds), must(lambda seconds: 900 <= seconds <= 43200, "use 15m to 12h")]
Files = Annotated[
    list[File],
    BeforeValidator(_from_json),
    must(lambda files: len(files) <= 1, "name one file, since boto3 reads one"),
]
Endpoints = Annotated[
    Mapping[
        str,
        Annotated[
            str,
            must(lambda url: not url or re.match("https?://.", url) is not None, "use a URL: https://HOST"),
        ],
    ],
    must(
        lambda endpoints: not endpoints.get("sso"),
        "leave sso out, and set AWS_ENDPOINT_URL_SSO in the environment, which the provider reads too",
    ),
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True)


class Role(_Model):
    """A role to assume, and what its session is to be."""

    role_arn: RoleArn
    session_name: str = SESSION_NAME
    duration: Duration | None = None
    policy: Annotated[str, must(lambda text: not text or _is_json(text), "use an IAM policy, as JSON")] = ""
    policy_arns: list[str] = []

    def request(self) -> dict[str, Any]:
        """What to ask STS for, besides the role."""
        asked = {
            "RoleSessionName": self.session_name,
            "DurationSeconds": self.duration,
            "Policy": self.policy,
            "PolicyArns": [{"arn": arn} for arn in self.policy_arns],
        }
        return {key: value for key, value in asked.items() if value}


class ChainedRole(Role):
    """One of aws:assumeRoles: assumed by the identity before it."""

    external_id: str = ""
    source_identity: str = ""
    tags: Mapping[str, str] = {}
    transitive_tag_keys: list[str] = []

    def request(self) -> dict[str, Any]:
        """What to ask STS for, besides the role."""
        asked = {
            "ExternalId": self.external_id,
            "SourceIdentity": self.source_identity,
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()],
            "TransitiveTagKeys": self.transitive_tag_keys,
        }
        return super().request() | {key: value for key, value in asked.items() if value}


class WebIdentityRole(Role):
    """aws:assumeRoleWithWebIdentity: assumed by the holder of an identity provider's token."""

    web_identity_token: SecretStr = SecretStr("")
    web_identity_token_file: File = ""

    def token(self) -> str:
        """The token, as it is now."""
        if self.web_identity_token_file:
            return Path(self.web_identity_token_file).read_text()
        return self.web_identity_token.get_secret_value()


class Settings(_Model):
    """The keys that are honoured."""

    model_config = ConfigDict(alias_generator=lambda name: f"aws:{to_camel(name)}")

    region: str = ""
    profile: str = ""
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")
    assume_role_with_web_identity: Annotated[
        WebIdentityRole | None,
        BeforeValidator(_from_json),
        must(
            lambda role: bool(role.web_identity_token) != bool(role.web_identity_token_file),
            "give it a webIdentityToken or a webIdentityTokenFile",
        ),
    ] = None
    assume_roles: Annotated[list[ChainedRole], BeforeValidator(_from_json)] = []
    allowed_account_ids: AccountIds = []
    forbidden_account_ids: AccountIds = []
    endpoints: Annotated[list[Endpoints], BeforeValidator(_from_json)] = []
    sts_region: str = ""
    use_fips_endpoint: bool = False
    use_dualstack_endpoint: bool = False
    shared_config_files: Files = []
    shared_credentials_files: Files = []
    custom_ca_bundle: File = ""
    insecure: bool = False
    skip_metadata_api_check: bool = False


HONOURED: Final = tuple(str(field.alias) for field in Settings.model_fields.values())
"""Keys of the provider that the operations read as it does."""

SECRET: Final = frozenset(
    {
        "aws:accessKey",
        "aws:secretKey",
        "aws:token",
        "aws:assumeRoles",
        "aws:assumeRoleWithWebIdentity",
        "webIdentityToken",
        "externalId",
    }
)
"""Keys, and properties of keys, whose values are never shown."""

MESSAGES: Final = {"extra_forbidden": "the provider has no such property", "missing": "set it"}
"""What to say of a property that is one too many, or missing."""


def read_settings(stack: Stack) -> Settings:
    """What a stack's config tells the provider, with its secrets decrypted.

    Raises pulumi.RunError with a line for each key that cannot be honoured, and its remedy.
    """
    told = {key: value for key, value in stack.config.items() if key.startswith("aws:") and value}
    problems = [*_unknown(told), *_conflicts(told.keys())]
    try:
        honoured = {key: value for key, value in told.items() if key in HONOURED}
        settings = Settings.model_validate(honoured, context=told.get("aws:region"))
        if not problems:
            return settings
    except ValidationError as error:
        problems += [_problem(details, stack.secret_keys) for details in error.errors()]
    raise pulumi.RunError(
        "The operations cannot act as the AWS provider is told to (docs/identity.md):\n" + "\n".join(problems)
    )


def _unknown(told: Iterable[str]) -> Iterator[str]:
    """Problems with keys that are refused, or that the provider does not have."""
    for key in sorted({*told} - {*HONOURED} - HARMLESS):
        if key in REFUSED:
            yield f"  {key}: unset it, and set {REFUSED[key]} in the environment, which the provider reads too"
        else:
            close = difflib.get_close_matches(key, [*HONOURED, *HARMLESS, *REFUSED], n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            yield f"  {key}: the AWS provider has no such key{hint}. Remove it: pulumi config rm {key}"


def _conflicts(told: Collection[str]) -> Iterator[str]:
    """Problems with keys that do not go together."""
    pair = {"aws:accessKey", "aws:secretKey"}
    keys = sorted((pair | {"aws:token"}) & {*told})
    if keys and not pair <= {*told}:
        yield f"  {', '.join(keys)}: set aws:accessKey and aws:secretKey, and aws:token with temporary ones, or none"
    if keys and "aws:assumeRoleWithWebIdentity" in told:
        yield "  aws:assumeRoleWithWebIdentity: the provider ignores it beside aws:accessKey. Remove one of them"


def _problem(error: ErrorDetails, secret_keys: Collection[str]) -> str:
    """One line: key, value and remedy."""
    key, *path = error["loc"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    value, shown = error["input"], ""
    if error["loc"][-1] in SECRET or key in secret_keys:
        shown = " = [secret]"
    elif isinstance(value, str | int | float):
        shown = f" = {value if str(value).startswith('[') else json.dumps(value)}"
    message = MESSAGES.get(error["type"]) or in_words(error)
    return f"  {key}{where}{shown}: {message}"
