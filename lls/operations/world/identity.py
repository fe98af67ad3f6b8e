"""Who the operations are in AWS, and where they find it: who and where Pulumi's AWS provider is."""

import os
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, Final, cast

import boto3
import botocore.session
import pulumi
from botocore.config import Config as ClientConfig
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    AssumeRoleWithWebIdentityCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    RefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from lls.operations.world.account import CLIENT_CONFIG, Account, Caller, refused
from lls.operations.world.provider_keys import Settings
from lls.waiting import QUESTION, within

OTHER_NAMES: Final[Mapping[str, str]] = {"elbv2": "elasticloadbalancingv2"}
"""The other name that aws:endpoints has for a service of boto3."""

RENEWED_BEFORE: Final = (5 * 60, 60)
"""Seconds before its end from which a session should be renewed, and from which it must be."""

ENVIRONMENT: Final = {"config_file": "AWS_CONFIG_FILE", "credentials_file": "AWS_SHARED_CREDENTIALS_FILE"}
"""The environment variables of botocore's settings."""


class WrongAccountError(pulumi.RunError):
    """The operations act in another account than the stack lives in, and what to do about it."""


class Identity:
    """One identity in AWS, and where it looks."""

    def __init__(self, settings: Settings) -> None:
        """Be who the settings say. Nothing is asked before it is needed."""
        self._settings = settings

    def account(self) -> Account:
        """The account that it gives access to, which raises WrongAccountError where the stack does not allow that."""
        limited = self._settings.allowed_account_ids or self._settings.forbidden_account_ids
        return Account(self._client, self._check if limited else None)

    def token_environment(self) -> Mapping[str, str]:
        """What `aws eks get-token` must find in its environment to be this identity. Raises AwsError or SilentError.

        Nothing where it is so by itself: where nothing but a profile or the environment tells who it is. Credentials
        are those of the moment.
        """
        keys_win = bool(self._settings.profile) and "AWS_ACCESS_KEY_ID" in os.environ
        if not (self._has_credentials or self._files or keys_win):
            return {}
        credentials = within(QUESTION, "AWS credentials", lambda: self._session.get_credentials())
        if credentials is None:
            return {}
        frozen = within(QUESTION, "AWS credentials", credentials.get_frozen_credentials)
        return {
            **{ENVIRONMENT[name]: path for name, path in self._files.items()},
            "AWS_ACCESS_KEY_ID": frozen.access_key or "",
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key or "",
            "AWS_SESSION_TOKEN": frozen.token or "",
            "AWS_CREDENTIAL_EXPIRATION": "",
        }

    def _check(self, caller: Caller) -> None:
        allowed, forbidden = self._settings.allowed_account_ids, self._settings.forbidden_account_ids
        for key, ids, fits in (
            ("aws:allowedAccountIds", allowed, not allowed or caller.account in allowed),
            ("aws:forbiddenAccountIds", forbidden, caller.account not in forbidden),
        ):
            if not fits:
                raise WrongAccountError(
                    f"{key} = {', '.join(ids)}: the AWS credentials are of account {caller.account} ({caller.arn}). "
                    f"Use those of an account that the stack allows, or change {key}."
                )

    @cached_property
    def _files(self) -> Mapping[str, str]:
        """The files that replace ~/.aws, by botocore's names for them."""
        settings = self._settings
        given = {"config_file": settings.shared_config_files, "credentials_file": settings.shared_credentials_files}
        return {name: files[0] for name, files in given.items() if files}

    @property
    def _has_credentials(self) -> bool:
        """Whether it has other credentials than a profile's or the environment's."""
        settings = self._settings
        return bool(settings.access_key or settings.assume_role_with_web_identity or settings.assume_roles)

    @cached_property
    def _session(self) -> boto3.Session:
        settings = self._settings
        where: dict[str, Any] = {"profile_name": settings.profile or None, "region_name": settings.region}
        variables = {**self._files, "ca_bundle": settings.custom_ca_bundle}
        if not (self._has_credentials or any(variables.values()) or settings.skip_metadata_api_check):
            return boto3.Session(**where)
        core = botocore.session.get_session()
        for name, value in variables.items():
            if value:
                core.set_config_variable(name, value)
        session = boto3.Session(botocore_session=core, **where)
        usual: CredentialResolver = core.get_component("credential_provider")
        if settings.skip_metadata_api_check:
            usual.remove("iam-role")
        if self._has_credentials:
            own = CredentialResolver([_Provided(partial(self._credentials, usual))])
            core.register_component("credential_provider", own)
        return session

    def _client(self, service: str, config: ClientConfig | None = None, **credentials: str | None) -> Any:
        settings, options = self._settings, dict[str, Any](credentials)
        endpoint = self._endpoint(service)
        if endpoint:
            options["endpoint_url"] = endpoint
        if settings.sts_region and service == "sts":
            options["region_name"] = settings.sts_region
        if settings.insecure:
            options["verify"] = False
        kind = ClientConfig(
            # As the provider does: an endpoint of one's own stands for itself.
            use_fips_endpoint=True if settings.use_fips_endpoint and not endpoint else None,
            use_dualstack_endpoint=settings.use_dualstack_endpoint or None,
        )
        config = CLIENT_CONFIG.merge(kind).merge(config or ClientConfig())
        return cast(Any, self._session).client(service, config=config, **options)

    def _endpoint(self, service: str) -> str:
        names = (service.replace("-", ""), OTHER_NAMES.get(service, ""))
        found = [
            url for endpoint in self._settings.endpoints for name, url in endpoint.items() if name in names and url
        ]
        return found[0] if found else ""

    def _credentials(self, usual: CredentialResolver) -> Credentials | None:
        """The stack's keys, or a web identity, or what is found as usual; and then one role after the other."""
        settings, web = self._settings, self._settings.assume_role_with_web_identity
        if settings.access_key:
            keys = (settings.access_key, settings.secret_key, settings.token)
            access, secret, token = (key.get_secret_value() for key in keys)
            credentials = Credentials(access, secret, token or None)
        elif web:
            fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
                self._client, web.token, web.role_arn, extra_args=web.request()
            )
            credentials = _renewable("sts:AssumeRoleWithWebIdentity", fetcher.fetch_credentials)
        else:
            credentials = usual.load_credentials()
        for role in settings.assume_roles:
            if credentials is None:
                raise NoCredentialsError
            fetcher = AssumeRoleCredentialFetcher(self._client, credentials, role.role_arn, extra_args=role.request())
            credentials = _renewable("sts:AssumeRole", fetcher.fetch_credentials)
        return credentials


class _Provided(CredentialProvider):
    """Finds credentials where it is told."""

    METHOD = "provided"

    def __init__(self, load: Callable[[], Credentials | None]) -> None:
        super().__init__()
        self._load = load

    def load(self) -> Credentials | None:
        return self._load()


def _renewable(action: str, fetch: Callable[[], dict[str, Any]]) -> RefreshableCredentials:
    """Credentials that are fetched now, and anew before they end."""

    def ask() -> dict[str, Any]:
        try:
            return fetch()
        except (ClientError, BotoCoreError, OSError) as error:
            raise refused(action, error) from error

    advisory, mandatory = RENEWED_BEFORE
    return RefreshableCredentials.create_from_metadata(
        ask(), ask, action, advisory_timeout=advisory, mandatory_timeout=mandatory
    )
