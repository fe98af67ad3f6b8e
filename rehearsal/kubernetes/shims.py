"""The commands that a rehearsal puts on the PATH: `aws` for the cluster's tokens, and `helm`.

A token tells the access key that the environment has, and the role that is asked for: whom the real one would
be signed by. Whatever else `aws` is asked goes to the real one, if there is one.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from rehearsal.aws.callers import KEY
from rehearsal.kubernetes import helm_command
from rehearsal.kubernetes.api import HOLDER, TOKEN


@contextmanager
def commands_on_the_path(cluster: str, endpoint: str) -> Generator[Path]:
    """Put `aws`, which knows the tokens of that cluster, and `helm`, which knows its API, on the PATH.

    The answer is the folder that they are in.
    """
    credential = {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "status": {"token": HOLDER.join((TOKEN, "%s", "%s"))},
    }
    real = shutil.which("aws")
    otherwise = f'exec {shlex.quote(real)} "$@"' if real else 'echo "the rehearsal has no: aws $*" >&2; exit 252'
    aws = f"""#!/bin/sh
asked="$*"
case "$asked" in
*" --role-arn "*) role="${{asked##* --role-arn }}" ;;
esac
case "$asked" in
*"eks get-token --cluster-name {cluster} "*)
    printf '{json.dumps(credential)}\\n' "${{AWS_ACCESS_KEY_ID:-{KEY}}}" "${{role%% *}}" ;;
*) {otherwise} ;;
esac
"""
    helm = f"""#!/bin/sh
exec {shlex.quote(sys.executable)} -I {shlex.quote(helm_command.__file__)} {endpoint} {TOKEN} "$@"
"""
    with TemporaryDirectory() as folder:
        for name, text in (("aws", aws), ("helm", helm)):
            path = Path(folder, name)
            path.write_text(text)
            path.chmod(0o700)
        with patch.dict(os.environ, {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}):
            yield Path(folder)
