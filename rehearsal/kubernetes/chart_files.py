"""The archive of the streaming proxy's chart as a registry has it, in the usual form of Helm charts.

NVIDIA's own is not public: values and labels are those that its guide documents, and what it makes is what
`rehearsal.kubernetes.chart` says.
"""

import gzip
import io
import tarfile
from collections.abc import Mapping
from functools import cache
from typing import Final

from lls import guide
from rehearsal.world import Quirks

VALUES: Final = """\
env:
  lbPort: "5004"
  lbDns: ""
replicaCount: 1
availabilityZones:
  enabled: false
  zones: []
nodeSelector: {}
tolerations: []
image:
  repository: ""
  tag: ""
  pullPolicy: IfNotPresent
resources: {}
streamingNodePort: %(streaming)d
healthNodePort: %(health)d
"""

HELPERS: Final = """\
{{/* Labels of the proxy's pods. */}}
{{- define "gdn-streaming.labels" -}}
app: streaming-proxy
{{- end }}
"""

SERVICE: Final = """\
apiVersion: v1
kind: Service
metadata:
  name: streaming-proxy
  labels:
    {{- include "gdn-streaming.labels" . | nindent 4 }}
spec:
  type: NodePort
  externalTrafficPolicy: %(policy)s
  selector:
    {{- include "gdn-streaming.labels" . | nindent 4 }}
  ports:
    - name: streaming
      protocol: UDP
      port: 6004
      nodePort: {{ .Values.streamingNodePort }}
    - name: health
      protocol: TCP
      port: 8000
      nodePort: {{ .Values.healthNodePort }}
"""

DEPLOYMENT: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: streaming-proxy
spec:
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels:
      {{- include "gdn-streaming.labels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "gdn-streaming.labels" . | nindent 8 }}
    spec:
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if .Values.availabilityZones.enabled }}
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
              - matchExpressions:
                  - key: topology.kubernetes.io/zone
                    operator: In
                    values:
                      {{- toYaml .Values.availabilityZones.zones | nindent 22 }}
      {{- end }}
      containers:
        - name: streaming-proxy
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          env:
            - name: LB_PORT
              value: {{ .Values.env.lbPort | quote }}
            - name: LB_DNS
              value: {{ .Values.env.lbDns | quote }}
          readinessProbe:
            httpGet:
              path: %(path)s
              port: 8000
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
"""


def chart_files(quirks: Quirks, version: str) -> Mapping[str, str]:
    """The chart's files, by their paths in its folder."""
    opened = {
        "streaming": quirks.chart_streaming_node_port,
        "health": quirks.chart_health_node_port,
        "policy": quirks.external_traffic_policy,
        "path": quirks.chart_health_path,
    }
    return {
        "Chart.yaml": f"apiVersion: v2\nname: {guide.RELEASE_NAME}\nversion: {version}\n",
        "values.yaml": VALUES % opened,
        "templates/_helpers.tpl": HELPERS,
        "templates/service.yaml": SERVICE % opened,
        "templates/deployment.yaml": DEPLOYMENT % opened,
    }


def archive(files: Mapping[str, str], folder: str = guide.RELEASE_NAME) -> bytes:
    """A .tgz of a chart's files, the same bytes every time."""
    return _archive(tuple(files.items()), folder)


@cache
def _archive(files: tuple[tuple[str, str], ...], folder: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files:
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)
