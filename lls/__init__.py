"""Low Latency Streaming for self-hosted NVCF: four components that replace NVIDIA's installation guide.

A fifth tells when it breaks.
"""

from lls.node_port_ingress import NodePortIngress, NodePortIngressArgs
from lls.streaming_alarms import StreamingAlarms, StreamingAlarmsArgs
from lls.streaming_nlb import StreamingNlb
from lls.streaming_nlb_args import ElasticIp, StreamingNlbArgs
from lls.streaming_proxy_release import StreamingProxyRelease, StreamingProxyReleaseArgs
from lls.target_registration import Binding, TargetRegistration, TargetRegistrationArgs, Targets

__all__ = [
    "Binding",
    "ElasticIp",
    "NodePortIngress",
    "NodePortIngressArgs",
    "StreamingAlarms",
    "StreamingAlarmsArgs",
    "StreamingNlb",
    "StreamingNlbArgs",
    "StreamingProxyRelease",
    "StreamingProxyReleaseArgs",
    "TargetRegistration",
    "TargetRegistrationArgs",
    "Targets",
]
