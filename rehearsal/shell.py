"""An emulated world to try things in: for a shell of its own, and for other terminals."""

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from lls.waiting import wait_out
from rehearsal.display import say
from rehearsal.kubernetes.api import kubeconfig_for
from rehearsal.real import RealRehearsal
from rehearsal.rehearse import Rehearsal


def keep(rehearsal: Rehearsal, console: Console) -> None:
    """Serve the emulated world until Ctrl-C."""
    settings = settings_of(rehearsal)
    say(
        console,
        f"The emulated AWS and cluster {rehearsal.world.cluster} keep running until Ctrl-C. For aws, kubectl and\n"
        f"python -m lls:\n{_exports(settings, rehearsal.commands)}",
    )
    try:
        wait_for_interrupt()
    except KeyboardInterrupt:
        say(console, "stopped")


def open_shell(rehearsal: RealRehearsal, console: Console) -> int:
    """Open a shell in which everything works against the emulated world, which ends with it; its exit code."""
    engine = rehearsal.real_engine
    pulumi = {key: value for key, value in engine.environment.items() if key.startswith("PULUMI_")}
    settings = {**settings_of(rehearsal), **pulumi}
    path = os.pathsep.join((str(rehearsal.commands), str(Path(sys.prefix, "bin")), engine.environment["PATH"]))
    stack = engine.stack
    say(
        console,
        f"A shell in an emulated AWS with the cluster {rehearsal.world.cluster}, and a backend with the empty stack\n"
        f"{stack}. Nothing of it is left when you leave it (exit). Such as:\n"
        f"  pulumi up --stack {stack}\n  python -m lls verify --stack {stack}\n"
        "  aws elbv2 describe-load-balancers\n  kubectl get pods --all-namespaces\n"
        f"For another terminal:\n{_exports(settings, rehearsal.commands)}\n  cd {shlex.quote(str(Path.cwd()))}",
    )
    process = subprocess.Popen(  # noqa: S603 - the user's own shell
        [os.environ.get("SHELL", "/bin/sh")], env={**engine.environment, **settings, "PATH": path}
    )
    try:
        return wait_out(process)
    except KeyboardInterrupt:  # it was for what ran in the shell
        return process.returncode


def settings_of(rehearsal: Rehearsal) -> Mapping[str, str]:
    """What leads the AWS CLI, kubectl and the SDKs to the world."""
    rehearsal.kubernetes.lets_anyone_in = True  # kubectl never sends a token without TLS
    kubeconfig = rehearsal.commands / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(kubeconfig_for(rehearsal.kubernetes.endpoint, rehearsal.world.cluster))
    return {
        "AWS_ENDPOINT_URL": rehearsal.aws.endpoint,
        "AWS_REGION": rehearsal.world.region,
        "AWS_DEFAULT_REGION": rehearsal.world.region,
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "KUBECONFIG": str(kubeconfig),
    }


def _exports(settings: Mapping[str, str], commands: Path) -> str:
    lines = [f"  export {key}={shlex.quote(value)}" for key, value in settings.items()]
    return "\n".join([*lines, f"  export PATH={shlex.quote(str(commands))}:$PATH"])


def wait_for_interrupt() -> None:
    """Wait for Ctrl-C."""
    threading.Event().wait()
