"""A consumer of an LLS stack: a DNS name for its load balancer, and a second one for its static address.

The LLS stack's own key `lls:dnsName` makes the first one needless: it also tells the proxy and `streamingEndpoint` the
name. This way is for a zone of another account or another team's stack, or a proxy that is to keep the NLB's name.
"""

import pulumi
import pulumi_aws as aws

from lls.outputs import LlsOutputs


async def main() -> None:
    """Create the records. Asynchronous because the static address decides how many there are."""
    config = pulumi.Config()
    zone_id = config.require("zoneId")
    hostname = config.require("hostname")
    reference = pulumi.StackReference(config.require("stack"))
    streaming = LlsOutputs(reference)

    aws.route53.Record(
        "load-balancer",
        zone_id=zone_id,
        name=hostname,
        type="A",
        aliases=[
            aws.route53.RecordAliasArgs(
                name=streaming.nlb_dns_name, zone_id=streaming.nlb_zone_id, evaluate_target_health=True
            )
        ],
    )
    if (await reference.get_output_details("staticIp")).value:
        aws.route53.Record(
            "static-address",
            zone_id=zone_id,
            name=f"static.{hostname}",
            type="A",
            ttl=300,
            records=[streaming.static_ip.apply(str)],
        )
    pulumi.export("endpoint", pulumi.Output.format("{0}:{1}", hostname, streaming.udp_port))


pulumi.run(main)
