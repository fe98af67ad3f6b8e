import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lls.operations.program.stack_file import Stack
from lls.operations.report.finding import Finding, Level
from lls.operations.world.chart_archive import read_archive
from lls.operations.world.chart_check import check_chart
from rehearsal.kubernetes.chart_files import archive, chart_files
from rehearsal.world import Quirks
from tests.support.worlds import STACK

PLAIN = chart_files(Quirks(), "3.0.0")
BINDING: dict[str, Any] = {"registration": "binding", "targetType": "instance"}


def checked(files: Mapping[str, str] = PLAIN, **config: str) -> list[Finding]:
    stack = Stack("test", {**STACK, **{f"lls:{key}": value for key, value in config.items()}})
    return check_chart(read_archive(archive(files)), stack.parsed(), image="registry.example/streaming-proxy")


def changed(name: str, old: str, new: str) -> Mapping[str, str]:
    assert old in PLAIN[name]
    return {**PLAIN, name: PLAIN[name].replace(old, new)}


def told(findings: list[Finding]) -> list[tuple[Level, str, str]]:
    return [(finding.level, finding.seen, finding.remedy) for finding in findings]


def test_a_chart_that_is_as_the_config_says_is_one_line() -> None:
    configs: list[dict[str, Any]] = [{}, BINDING]
    for config in configs:
        [found] = checked(**config)
        assert (found.level, found.check) == (Level.OK, "chart contents")
        assert found.seen.startswith("gdn-streaming 3.0.0")


def test_another_node_port_is_a_problem_that_names_the_charts_and_the_key() -> None:
    [(level, seen, remedy)] = told(checked(streamingNodePort="31504"))
    assert level is Level.PROBLEM
    assert seen == "gdn-streaming 3.0.0 does not open NodePort UDP 31504 (it opens: UDP 30504, TCP 30800)"
    assert "lls:streamingNodePort" in remedy
    [(level, seen, remedy)] = told(checked(chart_files(Quirks(chart_health_node_port=31800), "3.0.0")))
    assert (level, "TCP 30800" in seen, "lls:healthNodePort" in remedy) == (Level.PROBLEM, True, True)


def test_the_charts_node_port_may_be_changed_by_helm_values() -> None:
    values = json.dumps({"streamingNodePort": 31504})
    assert [finding.level for finding in checked(streamingNodePort="31504", helmValues=values)] == [Level.OK]
    assert [finding.level for finding in checked(helmValues=values)] == [Level.PROBLEM]


def test_a_node_port_of_the_other_protocol_or_of_no_node_port_service_does_not_count() -> None:
    for files in (
        changed("templates/service.yaml", "protocol: UDP", "protocol: TCP"),
        changed("templates/service.yaml", "nodePort: {{ .Values.streamingNodePort }}", "targetPort: 6004"),
    ):
        assert [finding.level for finding in checked(files)] == [Level.PROBLEM]
    files = changed("templates/service.yaml", "type: NodePort", "type: ClusterIP")
    assert [finding.level for finding in checked(files)] == [Level.PROBLEM, Level.PROBLEM]


@pytest.mark.parametrize(
    "files",
    [
        changed("templates/service.yaml", "nodePort: {{ .Values.streamingNodePort }}", 'nodePort: {{ include "p" . }}'),
        {**PLAIN, "templates/service.yaml": '{{ include "common.service" . }}'},
    ],
)
def test_what_only_helm_can_tell_is_never_a_problem(files: Mapping[str, str]) -> None:
    found = checked(files, streamingNodePort="31504") + checked(files, serviceName="other", **BINDING)
    notes = [finding for finding in found if "only Helm can tell" in finding.seen]
    assert notes
    assert {finding.level for finding in notes} == {Level.NOTE}
    assert not [finding for finding in found if finding.level is Level.PROBLEM and "UDP" in finding.seen]


def test_a_templated_protocol_may_be_the_one_that_is_wanted_where_the_number_is() -> None:
    files = changed("templates/service.yaml", "protocol: UDP", "protocol: {{ .Values.absent }}")
    assert [finding.level for finding in checked(files)] == [Level.NOTE]
    assert [finding.level for finding in checked(files, streamingNodePort="31504")] == [Level.PROBLEM]


def test_a_subchart_may_make_and_read_whatever_is_missing() -> None:
    files = {**PLAIN, "templates/service.yaml": "# elsewhere", "charts/sub/Chart.yaml": "name: sub\nversion: 1.0.0"}
    assert {finding.level for finding in checked(files, **BINDING)} == {Level.NOTE}


def test_a_value_that_no_template_reads_is_a_note_with_the_charts_own_name() -> None:
    files = changed("templates/deployment.yaml", ".Values.env.lbDns", ".Values.proxy.lbDns")
    [(level, seen, remedy)] = told(checked(files))
    assert (level, "the value env.lbDns" in seen) == (Level.NOTE, True)
    assert remedy == "give it by lls:helmValues as proxy.lbDns"
    [(level, seen, _)] = told(checked(helmValues='{"extra": {"deep": 1}, "tolerations": null}'))
    assert (level, "the value extra.deep" in seen) == (Level.NOTE, True)


def test_a_bindings_service_must_be_one_of_the_charts_by_name_and_port() -> None:
    configs: list[dict[str, Any]] = [{"serviceName": "other"}, {"servicePort": "7000"}]
    for config in configs:
        [(level, seen, remedy)] = told(checked(**BINDING, **config))
        assert level is Level.PROBLEM
        assert "it makes: streaming-proxy with 6004, 8000" in seen
        assert "lls:serviceName" in remedy
        assert [finding.level for finding in checked(**config)] == [Level.OK]


def test_a_templated_service_name_is_not_called_another() -> None:
    files = changed("templates/service.yaml", "name: streaming-proxy", 'name: {{ include "gdn.fullname" . }}')
    assert [finding.level for finding in checked(files, **BINDING)] == [Level.NOTE]
    assert [finding.level for finding in checked(files, **BINDING, servicePort="7000")] == [Level.PROBLEM]


def test_another_path_of_the_charts_probes_is_a_hint() -> None:
    [(level, seen, _)] = told(checked(healthPath="/healthz"))
    assert (level, "/v1/health" in seen) == (Level.NOTE, True)
    files = changed("templates/deployment.yaml", "path: /v1/health", "path: {{ .Values.absent }}")
    assert [finding.level for finding in checked(files, healthPath="/healthz")] == [Level.OK]


def test_a_chart_without_templates_opens_nothing_that_is_fixed() -> None:
    chart = replace(read_archive(archive(PLAIN)), templates={})
    found = check_chart(chart, Stack("test", STACK).parsed(), image="r")
    assert "it opens: none that is fixed" in found[0].seen
