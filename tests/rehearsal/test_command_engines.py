"""`python -m rehearsal` on the real engine, where there is none."""

from pathlib import Path

import pytest

from rehearsal.__main__ import main
from tests.support.silent import put_on_path


@pytest.mark.parametrize("options", [["--engine", "pulumi"], ["--engine", "both"], ["--shell"]], ids=" ".join)
def test_without_a_cli_the_real_engine_is_refused_with_2_and_what_to_install(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: str) -> None:
        return None

    monkeypatch.setattr("lls.operations.program.stack_file.shutil.which", missing)
    assert main(["--stack", "dev", *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[1:] == [
        "The Pulumi CLI is needed to rehearse on the real engine, and is not on the PATH. "
        "Install it: https://www.pulumi.com/docs/install/"
    ]


@pytest.mark.parametrize("options", [["--engine", "pulumi"], ["--shell"]], ids=" ".join)
def test_a_cli_that_cannot_make_a_stack_is_told_in_its_own_words_with_2(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_on_path(monkeypatch, tmp_path / "bin", "pulumi", "echo error: no room >&2; exit 255")
    assert main(["--stack", "dev", *options]) == 2
    told = capsys.readouterr().err
    assert "`pulumi stack init dev` failed: error: no room" in told
    assert "Traceback" not in told


def test_a_shell_has_the_worlds_commands_first_and_nothing_of_the_users_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_on_path(monkeypatch, tmp_path / "bin", "pulumi", "exit 0")
    put_on_path(
        monkeypatch, tmp_path / "bin", "my-shell", f"env > {tmp_path / 'seen'}; command -v pulumi-resource-aws; exit 3"
    )
    monkeypatch.setenv("SHELL", str(tmp_path / "bin" / "my-shell"))
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "the user's")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "the user's")
    assert main(["--stack", "dev", "--shell"]) == 3
    lines = (tmp_path / "seen").read_text().splitlines()
    seen = dict(line.split("=", 1) for line in lines if "=" in line)
    assert "the user's" not in seen.values()
    assert seen["PULUMI_BACKEND_URL"].startswith("file:///")
    assert seen["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    commands = Path(seen["PATH"].partition(":")[0])
    assert not commands.exists()  # it went with the world
    told = capsys.readouterr().err
    assert "pulumi up --stack dev" in told
    assert f"export PATH={commands}" in told
