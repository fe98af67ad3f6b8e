from collections.abc import Mapping
from typing import Any

import pytest

from lls.operations.world.chart_templates import UNKNOWN, Service, ServicePort, is_read, made_by, reads
from rehearsal.kubernetes.chart import documented, service_of
from rehearsal.kubernetes.chart_files import chart_files
from rehearsal.world import Quirks

VALUES: Mapping[str, Any] = {
    "service": {"name": "proxy", "type": "NodePort", "media": 31504, "extra": "", "on": True, "off": False},
}

SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  type: {{{{ .Values.service.type | default "ClusterIP" }}}}
  ports:
    - name: media
      protocol: UDP
      port: 6004
{port}
  selector:
    {{{{- include "labels" . | nindent 4 }}}}
"""


def service(port: str, name: str = "proxy") -> Service:
    made = made_by({"templates/service.yaml": SERVICE.format(name=name, port=port)}, VALUES, "gdn")
    [found] = made.services
    return found


def node_port(line: str) -> Any:
    ports = service(line).ports
    return ports[0].node_port if ports else UNKNOWN


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("      nodePort: 30504", 30504),
        ("      nodePort: {{ .Values.service.media }}", 31504),
        ("      nodePort: {{ $.Values.service.media | int }}", 31504),
        ("      nodePort: {{ .Values.service.absent | default 30504 }}", 30504),
        ("      {{- if .Values.service.on }}\n      nodePort: 30504\n      {{- end }}", 30504),
        ("      {{- if .Values.service.off }}\n      nodePort: 30504\n      {{- end }}", None),
        (
            "      {{- if .Values.service.off }}\n      nodePort: 1\n{{- else }}\n      nodePort: 2\n{{- end }}",
            2,
        ),
        ("      {{- if not .Values.service.off }}\n      nodePort: 30504\n      {{- end }}", 30504),
        ("      {{/* nodePort: 1 */}}", None),
        ("      # nothing", None),
    ],
)
def test_a_value_and_a_condition_of_one_are_followed(line: str, found: object) -> None:
    assert node_port(line) == found


@pytest.mark.parametrize(
    "line",
    [
        '      nodePort: {{ include "port" . }}',
        "      nodePort: {{ .Values.service.media | add 1 }}",
        "      nodePort: {{ .Values.service.absent | default .Values.service.media }}",
        "      nodePort: {{ .Values.service.absent }}",
        "      nodePort: {{ if .Values.service.on }}1{{ else }}2{{ end }}",
        "      nodePort: 3{{ .Release.Revision }}504",
        '      {{- if eq .Values.service.type "NodePort" }}\n      nodePort: 30504\n      {{- end }}',
        "      {{- with .Values.service }}\n      nodePort: {{ .media }}\n      {{- end }}",
        "    {{- toYaml .Values.service.more | nindent 4 }}",
    ],
)
def test_what_only_helm_can_tell_is_unknown(line: str) -> None:
    assert node_port(line) == UNKNOWN


def test_labels_from_a_helper_do_not_hide_a_services_ports() -> None:
    assert service("      nodePort: 30504").ports == (ServicePort("UDP", 6004, 30504),)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("streaming-proxy", "streaming-proxy"),
        ("{{ .Release.Name }}", "gdn"),
        ("{{ .Release.Name }}-media", "gdn-media"),
        ("{{ .Values.service.name | quote }}", "proxy"),
        ('{{ include "gdn.fullname" . }}', UNKNOWN),
        ('{{ include "gdn.fullname" . }}-udp', UNKNOWN),
    ],
)
def test_a_services_name_is_told_where_it_is_a_text_a_value_or_the_releases(name: str, found: str) -> None:
    assert service("      nodePort: 30504", name).name == found


@pytest.mark.parametrize(
    "text",
    [
        '{{ include "common.service" . }}\n',
        "kind: {{ .Values.kind }}\nmetadata:\n  name: x\n",
        "kind: Service\n  spec: [\n",
        "{{- range .Values.more }}\nkind: Service\nspec: {}\n{{- end }}\n",
    ],
)
def test_an_object_that_cannot_be_told_is_named_by_its_file(text: str) -> None:
    assert made_by({"templates/all.yaml": text}, VALUES, "gdn").unread == ("templates/all.yaml",)


def test_definitions_and_what_is_switched_off_make_nothing() -> None:
    texts = {
        "templates/_helpers.tpl": '{{- define "x" -}}\nkind: Service\n{{- end }}\n',
        "templates/off.yaml": "{{- if .Values.service.off }}\nkind: Service\nspec: {}\n{{- end }}\n",
    }
    assert made_by(texts, VALUES, "gdn") == made_by({}, {}, "gdn")


def test_a_value_counts_as_read_by_its_own_name_or_one_above_or_below_it() -> None:
    read = reads({"t": "{{ .Values.env.lbPort }} {{- with $.Values.image }}{{/* .Values.gone */}}"})
    assert [
        name for name in ("env.lbPort", "env", "image.tag", "env.lbDns", "images", "gone") if is_read(name, read)
    ] == [
        "env.lbPort",
        "env",
        "image.tag",
    ]
    assert is_read("anything.else", reads({"t": "{{ toYaml .Values }}"}))


@pytest.mark.parametrize("values", [{}, {"streamingNodePort": 31504, "healthNodePort": 31800}])
def test_the_rehearsals_chart_makes_the_service_that_its_cluster_serves(values: Mapping[str, Any]) -> None:
    quirks = Quirks(chart_health_node_port=30801)
    image = {"repository": "r", "tag": "1", "pullPolicy": "Always"}
    taken = documented({"env": {"lbPort": "5004", "lbDns": "x"}, "image": image, **values})
    served = service_of("gdn-streaming", "gdn-streaming", taken, quirks)
    defaults = {"streamingNodePort": 30504, "healthNodePort": 30801}
    [made] = made_by(chart_files(quirks, "2.0.1"), {**defaults, **values}, "gdn-streaming").services
    assert made == Service(
        served.name, "NodePort", tuple(ServicePort(port.protocol, port.port, port.node_port) for port in served.ports)
    )
