"""The layers of ECR's images: where they can be fetched, which moto does not tell, and what they hold."""

import uuid
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

PATH = "/layers/"
"""Where the server has what S3 has of ECR's."""


class Layers:
    """What was pushed, by digest, at addresses that nobody can guess: as AWS's signed ones, they need no login."""

    def __init__(self) -> None:
        """None was pushed."""
        self._pushed: dict[tuple[str, str], bytes] = {}
        self._given: dict[str, bytes] = {}

    def push(self, repository: str, digest: str, content: bytes) -> None:
        """Keep a layer of a repository."""
        self._pushed[repository, digest] = content

    def address(self, endpoint: str, response: ECRResponse) -> ActionResult:
        """ECR's GetDownloadUrlForLayer. Refuses as AWS does what was not pushed."""
        param: Any = response._get_param  # pyright: ignore[reportPrivateUsage]
        repository, digest = param("repositoryName"), param("layerDigest")
        registry = param("registryId") or response.current_account
        response.ecr_backend.describe_repositories(repository_names=[repository], registry_id=registry)
        if (repository, digest) not in self._pushed:
            raise LayersNotFoundException(repository, digest, registry)
        token = uuid.uuid4().hex
        self._given[token] = self._pushed[repository, digest]
        return ActionResult({"downloadUrl": f"{endpoint}{PATH}{token}", "layerDigest": digest})

    def serve(self, path: str, start_response: Any) -> Iterable[bytes]:
        """Answer a download."""
        content = self._given.get(path.removeprefix(PATH))
        status = HTTPStatus.FORBIDDEN if content is None else HTTPStatus.OK
        start_response(f"{status.value} {status.phrase}", [("Content-Length", str(len(content or b"")))])
        return [content or b""]


class LayersNotFoundException(ServiceException):
    """What ECR says of a layer that it does not have."""

    code = "LayersNotFoundException"

    def __init__(self, repository: str, digest: str, registry: str) -> None:
        """Name it as AWS does."""
        super().__init__(
            f"The layer with digest '{digest}' does not exist in the repository with name '{repository}' "
            f"in the registry with id '{registry}'"
        )
