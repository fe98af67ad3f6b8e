"""What the cluster holds under the names that a stack gives its release and namespace, and whose that is."""

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from lls import guide
from lls.files import read_yaml
from lls.oci import is_oci
from lls.operations.world.account import AwsError
from lls.operations.world.installation import Installation
from lls.operations.world.ownership import KUBERNETES_NAMESPACE, RELEASE, Kind, Owner, Ownership
from lls.operations.world.proxy import CLUSTER_FAILURES, Deletion, Release, deletion_of


@dataclass(frozen=True, kw_only=True)
class ClusterSurvey:
    """One look at a cluster. `others` is what the namespace holds, `unknown` why the cluster could not be looked at.

    `deletion` tells of a namespace that is being deleted.
    """

    namespace: str
    release_name: str
    release: Release | None = None
    has_namespace: bool = False
    deletion: Deletion | None = None
    others: tuple[str, ...] = ()
    unknown: str = ""

    def name_of(self, type_: str) -> str:
        """What a reader knows the release or the namespace by."""
        return f"{'release' if type_ == RELEASE else 'namespace'} {self.id_of(type_)}"

    def id_of(self, type_: str) -> str:
        """The id that Pulumi's state knows it by."""
        return f"{self.namespace}/{self.release_name}" if type_ == RELEASE else self.namespace

    def owners(self, installation: Installation, ownership: Ownership) -> Mapping[str, Owner]:
        """Whose the release and the namespace are, by type, as far as there are such."""
        found: dict[str, Owner] = {}
        if self.release:
            found[RELEASE] = self._owner(RELEASE, installation, ownership, _not_of(self.release, installation))
        if self.has_namespace:
            is_strange = self.others and not self.release and not self.deletion
            strange = f"it holds {', '.join(self.others)}, and no release" if is_strange else ""
            found[KUBERNETES_NAMESPACE] = self._owner(KUBERNETES_NAMESPACE, installation, ownership, strange)
        return found

    def _owner(self, type_: str, installation: Installation, ownership: Ownership, mistake: str) -> Owner:
        owner = ownership.in_cluster(type_, self.id_of(type_), installation.cluster_identity)
        if mistake and not owner.is_owned:
            return Owner(Kind.UNKNOWN, why=mistake, is_mistaken=True)
        return owner


def look_into_cluster(installation: Installation) -> ClusterSurvey:
    """Look; a cluster that does not exist any more holds nothing."""
    config = installation.config
    nothing = ClusterSurvey(namespace=config.namespace, release_name=config.release_name)
    try:
        if not installation.kubeconfig:
            return nothing
        proxy = installation.proxy()
        release, namespace = proxy.find_release(), proxy.find_namespace()
        return replace(
            nothing,
            release=release,
            has_namespace=namespace is not None,
            deletion=deletion_of(namespace),
            others=tuple(proxy.others()) if namespace else (),
        )
    except (AwsError, *CLUSTER_FAILURES) as error:
        unknown = f"the cluster could not be asked, so its release and namespace are left alone: {error}"
        return replace(nothing, unknown=unknown)


def _not_of(release: Release, installation: Installation) -> str:
    """Why a release of the stack's name is not of its chart; empty where it is."""
    chart = installation.config.chart
    try:
        wanted = chart_name(chart)
    except (OSError, ValueError) as error:
        return f"its chart is {release.chart}, and the name of {chart} cannot be read: {error}"
    return "" if release.chart == wanted else f"its chart is {release.chart}, not {wanted}"


def chart_name(chart: str) -> str:
    """The name of a chart, by which Helm knows its releases: an OCI reference's last part, else what the chart says.

    An empty `chart` is the guide's. Raises OSError or ValueError for a local chart that cannot be read.
    """
    if not chart or is_oci(chart):
        return chart.rstrip("/").rpartition("/")[2] or guide.RELEASE_NAME
    try:
        described: Any = read_yaml(_chart_yaml(Path(chart)))
        return str(described["name"])
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"it is no chart: {error}") from error
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise ValueError(f"its Chart.yaml has no name: {error}") from error


def _chart_yaml(path: Path) -> bytes:
    """The Chart.yaml of a chart's folder, or of its archive, where it lies in the one top folder."""
    if path.is_dir():
        return (path / "Chart.yaml").read_bytes()
    with tarfile.open(path) as archive:
        inside = [member for member in archive if member.name.count("/") == 1 and member.name.endswith("/Chart.yaml")]
        file = archive.extractfile(inside[0]) if inside else None
        if file is None:
            raise ValueError("it has no Chart.yaml")
        return file.read()
