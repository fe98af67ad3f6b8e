"""Beyond the guide: CloudWatch alarms that tell when it breaks, and a dashboard that shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from lls.alarm_rules import NAMESPACE, PERIOD, RULES, AlarmRule, Metric
from lls.dashboard import dashboard_body, dimensions
from lls.naming import Names

HEALTHY_ID, UNHEALTHY_ID = "healthy", "unhealthy"
"""What the metrics are called in the expression of a percentage."""


@dataclass(frozen=True, kw_only=True)
class StreamingAlarmsArgs:
    """What StreamingAlarms needs. `load_balancer` and `target_group` are what ends their ARNs, as CloudWatch has it.

    `topic_arn` is the SNS topic that hears of every alarm and of its end; without one no alarm is made. `thresholds`
    override those of RULES, by their keys. `dashboard` also makes a dashboard. `instance` tells the cluster's
    installations apart, in names and tags.
    """

    cluster_name: str
    instance: str = ""
    region: str
    availability_zone: str
    load_balancer: pulumi.Input[str]
    target_group: pulumi.Input[str]
    topic_arn: str = ""
    thresholds: Mapping[str, int] = field(default_factory=dict[str, int])
    dashboard: bool = False
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class StreamingAlarms(pulumi.ComponentResource):
    """`lls:index:StreamingAlarms`: an alarm for each of RULES where there is a topic, and a dashboard if asked for.

    The first `up` raises no-healthy-host, until the first targets have passed their checks: it shows that the topic
    reaches somebody. A destroy wakes nobody, since nothing needs the alarms and they go at once.
    """

    alarms: Sequence[aws.cloudwatch.MetricAlarm]
    dashboard: aws.cloudwatch.Dashboard | None

    def __init__(self, name: str, args: StreamingAlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the component; `name` prefixes the logical names of its children."""
        super().__init__("lls:index:StreamingAlarms", name, None, opts)
        self._args = args
        self._names = Names(args.cluster_name, args.instance)
        self.alarms = [self._make_alarm(name, rule) for rule in RULES] if args.topic_arn else []
        self.dashboard = self._make_dashboard(name) if args.dashboard else None
        self.register_outputs({})

    def _make_alarm(self, name: str, rule: AlarmRule) -> aws.cloudwatch.MetricAlarm:
        args, alarm_name = self._args, self._names.alarm(rule.name)
        common = aws.cloudwatch.MetricAlarmArgs(
            name=alarm_name,
            alarm_description=rule.text,
            comparison_operator=rule.comparison,
            threshold=args.thresholds.get(rule.key, rule.threshold),
            evaluation_periods=rule.minutes,
            datapoints_to_alarm=rule.minutes,
            treat_missing_data=rule.missing,
            alarm_actions=[args.topic_arn],
            ok_actions=[args.topic_arn],
            tags=self._names.tags(alarm_name, args.tags),
        )
        if rule.percent_of:
            common.metric_queries = self._percentage(rule.metric, rule.percent_of)
        else:
            common.namespace, common.metric_name = NAMESPACE, rule.metric.name
            common.statistic, common.period = rule.metric.statistic, PERIOD
            common.dimensions = self._dimensions(rule.metric)
        return aws.cloudwatch.MetricAlarm(
            f"{name}-{rule.name}",
            common,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _percentage(self, part: Metric, rest: Metric) -> list[aws.cloudwatch.MetricAlarmMetricQueryArgs]:
        """What one metric is of two together, in percent, as CloudWatch's metric math has it."""

        def query(id_: str, metric: Metric) -> aws.cloudwatch.MetricAlarmMetricQueryArgs:
            return aws.cloudwatch.MetricAlarmMetricQueryArgs(
                id=id_,
                return_data=False,
                metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
                    namespace=NAMESPACE,
                    metric_name=metric.name,
                    dimensions=self._dimensions(metric),
                    period=PERIOD,
                    stat=metric.statistic,
                ),
            )

        expression = aws.cloudwatch.MetricAlarmMetricQueryArgs(
            id="percent",
            label="healthy of the registered targets, in percent",
            expression=f"100 * {HEALTHY_ID} / ({HEALTHY_ID} + {UNHEALTHY_ID})",
            return_data=True,
        )
        return [expression, query(HEALTHY_ID, part), query(UNHEALTHY_ID, rest)]

    def _dimensions(self, metric: Metric) -> pulumi.Output[Mapping[str, str]]:
        zone = self._args.availability_zone
        return pulumi.Output.all(self._args.load_balancer, self._args.target_group).apply(
            lambda ends: dimensions(metric, zone=zone, load_balancer=ends[0], target_group=ends[1])
        )

    def _make_dashboard(self, name: str) -> aws.cloudwatch.Dashboard:
        args, names = self._args, self._names
        known = pulumi.Output.all(args.load_balancer, args.target_group, *(alarm.arn for alarm in self.alarms))
        return aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=names.dashboard(args.region),
            dashboard_body=known.apply(
                lambda found: dashboard_body(
                    region=args.region,
                    zone=args.availability_zone,
                    load_balancer=found[0],
                    target_group=found[1],
                    marks=names.marks,
                    alarm_arns=found[2:],
                )
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
