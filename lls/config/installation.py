"""The keys that tell an installation from all others."""

from typing import Annotated

from pydantic import BaseModel, Field

from lls.config import forms
from lls.naming import Names


class InstallationKeys(BaseModel):
    """The region, the cluster, and which of the cluster's installations it is."""

    region: Annotated[forms.RegionCode, Field(alias="aws:region")]
    cluster_name: forms.ClusterName
    instance: forms.InstanceName

    @property
    def names(self) -> Names:
        """What this installation's things are called, and how they are tagged."""
        return Names(self.cluster_name, self.instance)
