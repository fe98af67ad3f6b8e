"""What NVIDIA's public repository says of NVCF's side of streaming: names, defaults, words, each with its file.

The repository is github.com/NVIDIA/nvcf, as of its commit fadc0f81.
"""

from typing import Final

ZONE_DNS: Final = "http://nvcf-sbs.nvcf-backend.svc.cluster.local:8000"
"""ZONE_DNS of a streaming function's worker, where nothing else is said: `defaultZoneDNS` in
src/libraries/go/lib/pkg/icms-translate/translate/function/lls.go."""

ZONE_DNS_OVERRIDE: Final = "NVCF_SBS_ZONE_DNS"
"""The cluster agent's variable that replaces it, unless it is empty (lls.go, `NVCFSBSZoneDNSEnv`)."""

INTERFACE_OVERRIDE: Final = "NVCF_LLS_INTERFACE"
"""The cluster agent's variable that replaces the worker's STREAMING_INTERFACE (lls.go, `NVCFStreamingInterfaceEnv`)."""

INTERFACE: Final = "ALL"
"""STREAMING_INTERFACE where nothing else is said (lls.go, `defaultStreamingInterface`)."""

BACKEND_NAMESPACE: Final = "nvcf-backend"
"""Where workers of container functions run, so where a name without dots leads
(docs/user/cluster-management/multi-tenancy.md)."""

AGENT_NAMESPACE, AGENT = "nvca-system", "nvca"
"""The cluster agent's Deployment (`DefaultNVCASystemNamespace` and `NVCAModuleName` in
src/compute-plane-services/nvca/pkg/operator/types/types.go)."""

AGENT_VALUE: Final = "agent.overrideEnvironmentVariables"
"""The value of the nvca-operator chart that sets its variables, as plain ones that come last and so win
(deploy/helm/nvca-operator/nvca-operator/values.yaml, `setupNVCADeployment` in
src/compute-plane-services/nvca/pkg/operator/reconcile/nvcaagent_reconcile.go)."""

ADDON_NAMESPACE, ADDON = "vault-system", "addons-lls-turn-hmac-rotation"
"""The CronJob that the control plane has where its LLS add-on is on
(deploy/helm/icms/icms-api/templates/cronjob-lls-turn-hmac-rotation.yaml, values.yaml)."""

ADDON_VALUE: Final = "addons.lls.enabled"
"""The setting of the control plane's stack that turns it on. It is called optional, and the LLS guide does not ask
for it (docs/user/csp-end-to-end-example-installation.md, deploy/stacks/self-managed/environments/base.yaml)."""

BLOCKED_MEDIA: Final = (
    "a streaming function then shows ACTIVE, and WebRTC clients fail to connect with NVST_R_GENERIC_ERROR"
)
"""How it looks where UDP to NodePorts is blocked (docs/user/troubleshooting.md, "WebRTC Streaming Fails After Function
Shows Active"; docs/user/streaming-functions.md)."""
