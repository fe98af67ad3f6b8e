"""The guide's tags, which its clean-up and ours go by."""

from collections.abc import Mapping

Tags = Mapping[str, str]


def guide_tags(cluster: str, name: str, extra: Tags, *, purpose: str | None = None) -> dict[str, str]:
    """Tags of one resource: the user's `extra` ones, overruled by the guide's own.

    `purpose` is `lls:purpose`, which the guide gives to the security group, the NLB and the target group.
    """
    own = {"Name": name, "lls:cluster": cluster, "lls:managed-by": "customer", "Project": "nvcf"}
    return {**extra, **own, **({"lls:purpose": purpose} if purpose else {})}
