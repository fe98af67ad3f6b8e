"""How AWS counts rules against the quota of a security group."""

from collections.abc import Iterable
from typing import Any

from lls.operations.world.account import Account
from lls.operations.world.inventory import Thing


def count_ipv4(account: Account, rules: Iterable[Thing]) -> int:
    """What rules of one way count for in IPv4, which AWS counts apart from IPv6: a prefix list as its most entries.

    Raises AwsError.
    """
    found = [rule.inputs for rule in rules if "cidrIpv6" not in rule.inputs]
    listed = [inputs["prefixListId"] for inputs in found if "prefixListId" in inputs]
    if not listed:
        return len(found)
    described: list[Any] = list(
        account.every("ec2", "describe_managed_prefix_lists", "PrefixLists", PrefixListIds=sorted(set(listed)))
    )
    entries = {
        prefix_list["PrefixListId"]: prefix_list.get("MaxEntries", 1) if prefix_list["AddressFamily"] == "IPv4" else 0
        for prefix_list in described
    }
    return len(found) - len(listed) + sum(entries[prefix_list] for prefix_list in listed)
