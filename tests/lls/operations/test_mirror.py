import base64
import logging
import traceback
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from lls.auth_file import IDENTITY_TOKEN
from lls.lines import GUIDE, NEWEST, Extra
from lls.operations import mirror as command
from lls.operations.program.stack_file import Stack
from lls.operations.report.finding import Exit, Level, Outcome
from lls.operations.report.screen import Screen
from lls.operations.world import registry as module
from lls.operations.world.account import Account
from lls.operations.world.installation import Installation
from lls.operations.world.registry import (
    Artifact,
    Login,
    Mirrored,
    MirrorError,
    Progress,
    Watch,
    artifacts,
    ecr_login,
    ensure_repositories,
    exists,
    logins_of,
    mirror,
    ngc_login,
)
from rehearsal.aws.server import Aws
from tests.support.helpers import install_helper
from tests.support.registries import (
    INDEX,
    Content,
    Registry,
    Scheme,
    a_chart,
    an_image,
    digest_of,
    docker_registry,
    fill,
    internet,
    needs_docker_registry,
    pull,
)
from tests.support.worlds import STACK, KnownStates, PatientClock, a_rehearsal, a_world, knowing

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

PASSWORD = "nvapi-very-secret"  # noqa: S105
NGC = ngc_login({"NGC_API_KEY": PASSWORD})
ECR = Login("AWS", "ecr-very-secret", module.ECR_REMEDY)
SECRETS = (NGC.password, ECR.password)
HIDDEN = (*SECRETS, *(base64.b64encode(f"{login.user}:{login.password}".encode()).decode() for login in (NGC, ECR)))

SOURCE = "org/team/streaming-proxy"
DESTINATION = "demo/streaming-proxy"
HOST = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


@pytest.fixture(autouse=True)
def _in_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(module, "PAUSES", (0, 0, 0))


@dataclass
class Sides:
    """A source that wants tokens, as NVIDIA's, with an image in it, and a destination that wants a login, as ECR."""

    source: Registry
    destination: Registry
    image: Content

    @property
    def artifact(self) -> Artifact:
        return Artifact(
            name="image",
            key="lls:imageTag",
            source=f"{self.source.host}/{SOURCE}",
            destination=f"{self.destination.host}/{DESTINATION}",
            tag="2.0.1",
        )

    @property
    def tag(self) -> bytes | None:
        return self.destination.manifests.get((DESTINATION, "2.0.1"), ("", None))[1]

    @property
    def uploads(self) -> int:
        return self.destination.count("PUT .*/blobs/.*")

    @property
    def logins(self) -> Mapping[str, Login]:
        return {self.source.host: NGC, self.destination.host: ECR}

    def run(self, watch: Watch = lambda _: None) -> Mirrored:
        return mirror(self.artifact, logins=self.logins, watch=watch)

    def refused(self) -> str:
        """The sentence of the failure; neither it nor its traceback may have a secret."""
        with pytest.raises(MirrorError) as caught:
            self.run()
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert not [secret for secret in HIDDEN if secret in shown]
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def sides(tmp_path: Path) -> Generator[Sides]:
    with ExitStack() as exits:
        certificate = exits.enter_context(internet(tmp_path, "ngc.example", "ecr.example"))
        source = exits.enter_context(Registry("ngc.example", login=NGC, certificate=certificate))
        destination = exits.enter_context(Registry("ecr.example", login=ECR, certificate=certificate, scheme="basic"))
        image = an_image()
        source.put(SOURCE, "2.0.1", image)
        yield Sides(source, destination, image)


def closed(*_: object) -> bool:
    return False


@pytest.fixture
def ecr() -> Generator["ECRClient"]:
    with Aws(
        a_world(quirks={"mirrored": False}), PatientClock(), cluster_endpoint="http://127.0.0.1:1", answers=closed
    ) as aws:
        yield aws.client("ecr")


def parsed(**values: str) -> Stack:
    return Stack("test", {**STACK, **{f"lls:{key}": value for key, value in values.items()}})


# --- What to copy


def test_chart_and_image_go_from_nvidias_registry_to_the_stacks_own() -> None:
    config = parsed(chartVersion="2.1.0+build.7", imageTag="2.0.3").parsed()
    chart, image = artifacts(config, chart=f"oci://{HOST}/demo/gdn-streaming", image=f"{HOST}/demo/streaming-proxy")
    assert chart == Artifact(
        name="chart",
        key="lls:chartVersion",
        source=f"{GUIDE.path}/gdn-streaming",
        destination=f"{HOST}/demo/gdn-streaming",
        tag="2.1.0_build.7",
    )
    assert (image.source, image.destination) == (f"{GUIDE.path}/streaming-proxy", f"{HOST}/demo/streaming-proxy")
    assert (image.tag, image.key, image.repository) == ("2.0.3", "lls:imageTag", "demo/streaming-proxy")


def test_a_local_chart_is_not_copied_nor_what_is_used_from_nvidia_itself() -> None:
    config = parsed().parsed()
    [image] = artifacts(config, chart="./chart", image=f"{HOST}/demo/streaming-proxy")
    assert image.name == "image"
    assert artifacts(config, chart="chart.tgz", image=f"{GUIDE.path}/streaming-proxy") == ()


def test_without_a_key_it_says_which_variable_is_missing_and_how_to_get_one() -> None:
    with pytest.raises(MirrorError, match=r"NGC_API_KEY.*nvcf-onprem.*https://"):
        ngc_login({"NGC_API_KEY": " "})


def test_a_login_does_not_show_its_password() -> None:
    assert PASSWORD not in repr(NGC)
    assert (NGC.user, NGC.password) == ("$oauthtoken", PASSWORD)


# --- ECR


def test_missing_ecr_repositories_are_made_immutable_scanned_and_tagged(ecr: "ECRClient") -> None:
    names = ["demo/gdn-streaming", "demo/streaming-proxy"]
    assert ensure_repositories(ecr, names, cluster="demo", extra={"team": "x"}) == names
    for made in ecr.describe_repositories(repositoryNames=names)["repositories"]:
        assert made.get("imageTagMutability") == "IMMUTABLE"
        assert made.get("imageScanningConfiguration") == {"scanOnPush": True}
        tags = ecr.list_tags_for_resource(resourceArn=made.get("repositoryArn", "")).get("tags", [])
        assert {tag["Key"]: tag["Value"] for tag in tags} == {
            "Name": made.get("repositoryName"),
            "lls:cluster": "demo",
            "lls:managed-by": "customer",
            "Project": "nvcf",
            "team": "x",
        }


def test_an_existing_ecr_repository_is_left_alone(ecr: "ECRClient") -> None:
    ecr.create_repository(repositoryName="demo/streaming-proxy", imageTagMutability="MUTABLE")
    before = ecr.describe_repositories()["repositories"]
    assert ensure_repositories(ecr, ["demo/streaming-proxy"], cluster="demo", extra={}) == []
    assert ecr.describe_repositories()["repositories"] == before


def test_ecrs_login_is_its_authorization_token(ecr: "ECRClient") -> None:
    login = ecr_login(ecr)
    assert login.user == "AWS"
    assert login.password
    assert login.password not in repr(login)


def test_a_failure_of_ecr_is_told_in_one_sentence(ecr: "ECRClient") -> None:
    with pytest.raises(MirrorError, match=r"^ECR: repository Not/Valid: .*InvalidParameter.*AWS credentials.*\.$"):
        ensure_repositories(ecr, ["Not/Valid"], cluster="demo", extra={})


# --- The copy


@needs_docker_registry
@pytest.mark.parametrize(("content", "tag"), [(an_image(), "2.0.1"), (a_chart(), "2.0.1_b")], ids=["image", "chart"])
def test_between_real_registries_every_manifest_and_blob_arrives_unchanged(
    tmp_path: Path, content: Content, tag: str
) -> None:
    with docker_registry(tmp_path) as host:
        fill(host, "from/it", tag, content)
        before = set(tmp_path.rglob("*"))
        artifact = Artifact(name="x", key="k", source=f"{host}/from/it", destination=f"{host}/to/it", tag=tag)
        done = mirror(artifact, logins={})
        assert (done.digest, done.copied_bytes) == (content.digest, content.size)
        assert set(done.copied) == content.blobs.keys()
        assert pull(host, "to/it", f"manifests/{tag}") == content.top
        for _, manifest in content.manifests:
            assert pull(host, "to/it", f"manifests/{digest_of(manifest)}") == manifest
        for digest, blob in content.blobs.items():
            assert pull(host, "to/it", f"blobs/{digest}") == blob
        assert mirror(artifact, logins={}) == Mirrored(artifact=artifact, digest=content.digest, unchanged=True)
        assert {path for path in set(tmp_path.rglob("*")) - before if "data" not in path.parts} == set()


# --- A line


def unasked(*_: object, **__: object) -> NoReturn:
    pytest.fail("AWS was asked")


def copied(**options: Any) -> Outcome:
    """What mirror does for the plain stack, where nothing is AWS's."""
    with Screen(as_json=True) as screen:
        installation = Installation(parsed(**options.pop("config", {})), Account(unasked), KnownStates())
        return command.run(installation, screen, environ={}, **options)


@needs_docker_registry
def test_a_line_goes_between_real_registries_with_its_worker_and_turn(tmp_path: Path) -> None:
    wanted = {
        "gdn-streaming": ("3.0.0", a_chart()),
        "streaming-proxy": ("3.0.2", an_image()),
        "nvcf_worker_niclls": ("2.109.4", an_image("worker")),
        "turn": ("3.0.2", an_image("turn")),
    }
    for folder in ("source", "destination"):
        (tmp_path / folder).mkdir()
    with docker_registry(tmp_path / "source") as source, docker_registry(tmp_path / "destination") as destination:
        for name, (tag, content) in wanted.items():
            fill(source, f"ga/{name}", tag, content)
        done = copied(
            source=f"{source}/ga", destination=f"{destination}/demo", line="26.07", extras=(Extra.WORKER, Extra.TURN)
        )
        for name, (tag, content) in wanted.items():
            assert pull(destination, f"demo/{name}", f"manifests/{tag}") == content.top
            for digest, blob in content.blobs.items():
                assert pull(destination, f"demo/{name}", f"blobs/{digest}") == blob
    assert done.exit == Exit.FINE
    assert [artifact["name"] for artifact in done.facts["artifacts"]] == ["chart", "image", "worker", "turn"]
    [told] = [finding for finding in done.findings if finding.check == "line"]
    assert told.level is Level.NOTE
    assert "the config deploys chart 2.0.1 and image 2.0.1" in told.seen
    assert "pulumi config set lls:chartVersion 3.0.0 --stack test" in told.remedy
    assert "pulumi config set lls:imageTag 3.0.2 --stack test" in told.remedy


def test_a_dry_run_tells_what_would_be_copied_and_changes_nothing() -> None:
    done = copied(destination="own.example/demo", line="26.07", extras=(Extra.WORKER,), dry_run=True)
    assert done.exit == Exit.FINE
    assert done.facts["dryRun"] is True
    assert [finding.seen for finding in done.findings if finding.check == "worker"] == [
        "nvcr.io/0833294136851237/selfhosted-ga/nvcf_worker_niclls:2.109.4 to "
        "own.example/demo/nvcf_worker_niclls:2.109.4: would be copied, unless it is there"
    ]


def test_a_dry_run_tells_which_repositories_would_be_created() -> None:
    with a_rehearsal(quirks={"mirrored": False}) as rehearsal, Screen(as_json=True) as screen:
        done = command.run(knowing(rehearsal), screen, line="26.07", extras=(Extra.TURN,), dry_run=True, environ={})
        assert rehearsal.aws.client("ecr").describe_repositories()["repositories"] == []
    assert [finding.seen.partition(" would")[0] for finding in done.findings if finding.check == "repository"] == [
        "demo/gdn-streaming",
        "demo/streaming-proxy",
        "demo/turn",
    ]


@pytest.mark.parametrize(
    ("config", "path", "line"),
    [
        ({}, GUIDE.path, "0.5"),
        ({"chartVersion": "3.0.0", "imageTag": "3.0.2"}, NEWEST.path, "26.07"),
        ({"chartVersion": "3.0.0"}, GUIDE.path, None),
    ],
)
def test_versions_of_a_known_line_come_from_its_path(config: Mapping[str, str], path: str, line: str | None) -> None:
    done = copied(destination="own.example/demo", dry_run=True, config=config)
    assert {artifact["source"].rpartition("/")[0] for artifact in done.facts["artifacts"]} == {path}
    assert done.facts["line"] == line
    assert {artifact["name"]: artifact["tag"] for artifact in done.facts["artifacts"]} == {
        "chart": config.get("chartVersion", "2.0.1"),
        "image": config.get("imageTag", "2.0.1"),
    }


def test_a_line_that_the_config_deploys_is_said_to_be_that() -> None:
    config = {"chartVersion": "3.0.0", "imageTag": "3.0.2"}
    done = copied(destination="own.example/demo", dry_run=True, line="26.07", config=config)
    assert [finding.level for finding in done.findings if finding.check == "line"] == [Level.OK]


def test_an_image_that_no_line_has_is_refused_with_the_line_that_has_it() -> None:
    with pytest.raises(MirrorError, match=r"--with turn: line 0\.5 has none: add --line 26\.07, or leave it out\."):
        copied(destination="own.example/demo", extras=(Extra.TURN,))
    with pytest.raises(MirrorError, match=r"--with worker wants a line.*add --line 0\.5 or 26\.07\."):
        copied(destination="own.example/demo", extras=(Extra.WORKER,), config={"imageTag": "9"})


def test_an_image_comes_with_all_platforms_and_attestations(sides: Sides) -> None:
    done = sides.run()
    assert sides.destination.holds(DESTINATION, "2.0.1", sides.image)
    assert sides.destination.manifests[DESTINATION, "2.0.1"][0] == INDEX
    assert (done.digest, done.copied_bytes, done.skipped) == (sides.image.digest, sides.image.size, ())


def test_a_chart_whose_manifest_does_not_name_its_type_keeps_type_and_digest(sides: Sides) -> None:
    chart = a_chart()
    sides.source.put(SOURCE, "2.0.1", chart)
    assert sides.run().digest == chart.digest
    assert sides.destination.holds(DESTINATION, "2.0.1", chart)


def test_a_layer_of_two_platforms_is_sent_once(sides: Sides) -> None:
    done = sides.run()
    assert len(done.copied) == len(set(done.copied)) == sides.uploads == len(sides.image.blobs)


def test_a_second_run_copies_nothing(sides: Sides) -> None:
    sides.run()
    sides.source.log.clear()
    sides.destination.log.clear()
    assert sides.run() == Mirrored(artifact=sides.artifact, digest=sides.image.digest, unchanged=True)
    assert sides.destination.count("(PUT|POST) .*") == 0
    assert sides.source.count(".*/blobs/.*") == 0


def test_what_another_version_brought_already_is_not_sent_again(sides: Sides) -> None:
    before = an_image("other")
    sides.destination.put(DESTINATION, "1.0.0", before)
    common = before.blobs.keys() & sides.image.blobs.keys()
    done = sides.run()
    assert common
    assert set(done.skipped) == common
    assert set(done.copied) == sides.image.blobs.keys() - common
    assert done.copied_bytes == sides.image.size - sum(len(before.blobs[each]) for each in common)


def test_another_digest_at_the_destination_is_refused_with_both_and_stays(sides: Sides) -> None:
    other = an_image("other")
    sides.destination.put(DESTINATION, "2.0.1", other)
    sentence = sides.refused()
    assert other.digest in sentence
    assert sides.image.digest in sentence
    assert "lls:imageTag" in sentence
    assert sides.tag == other.top
    assert sides.destination.count("(PUT|POST) .*") == 0


def test_the_tag_is_not_seen_before_everything_else_is_there(sides: Sides) -> None:
    written: list[str] = []

    def note(reference: str) -> None:
        written.append(reference)
        if reference != "2.0.1":
            assert sides.tag is None

    sides.destination.on_write = note
    sides.run()
    assert written == [*(digest_of(manifest) for _, manifest in sides.image.manifests[:-1]), "2.0.1"]
    assert [line for line in sides.destination.log if line.startswith("PUT")][-1].endswith("/manifests/2.0.1")


def test_progress_ends_at_the_total_and_tells_what_was_skipped(sides: Sides) -> None:
    [there, *_] = sides.image.blobs.items()
    sides.destination.blobs[DESTINATION, there[0]] = there[1]
    seen: list[Progress] = []
    sides.run(seen.append)
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert (seen[-1].done, seen[-1].total) == (sides.image.size, sides.image.size)
    assert {step.blob for step in seen if step.skipped} == {there[0]}
    assert {step.blob for step in seen if step.blob_done == step.blob_total} == sides.image.blobs.keys()


# --- Interruptions


def test_an_interrupted_run_says_what_is_done_and_the_next_sends_only_the_rest(sides: Sides) -> None:
    def interrupt(step: Progress) -> None:
        if 0 < step.blob_done < step.blob_total:
            raise KeyboardInterrupt

    with pytest.raises(MirrorError, match=rf"interrupted; 1 of {len(sides.image.blobs)} blobs .* again") as caught:
        sides.run(interrupt)
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)
    assert sides.tag is None
    there = {digest for _, digest in sides.destination.blobs}
    sides.destination.log.clear()
    done = sides.run()
    assert set(done.skipped) == there
    assert sides.uploads == len(sides.image.blobs) - len(there)
    assert sides.destination.holds(DESTINATION, "2.0.1", sides.image)


def test_a_failure_half_way_says_so_and_the_next_run_goes_on(sides: Sides) -> None:
    last = [*sides.image.blobs][-1]
    sides.source.fail(f"GET .*/blobs/{last}", 503)
    sentence = sides.refused()
    count = len(sides.image.blobs)
    assert f"HTTP 503 (FAULT: that was [secret]), 4 times: try again later; {count - 1} of {count} blobs" in sentence
    assert "running it again goes on" in sentence
    assert sides.tag is None
    sides.source.faults.clear()
    assert sides.run().copied == (last,)


@pytest.mark.parametrize("what", [500, 502, 429, "cut"])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_failure_that_passes_is_got_over(sides: Sides, side: str, what: int) -> None:
    if side == "source":
        sides.source.fail("GET .*/(manifests|blobs)/.*", what, times=3)
    else:
        sides.destination.fail("PUT .*", what, times=3)
    assert sides.run().digest == sides.image.digest
    assert sides.destination.holds(DESTINATION, "2.0.1", sides.image)


def test_an_answer_that_gets_lost_does_not_make_the_written_tag_an_obstacle(sides: Sides) -> None:
    sides.destination.fail("PUT .*/manifests/.*", "lost", times=1)
    sides.destination.fail("PUT .*/manifests/2.0.1", "lost", times=1)
    assert sides.run().digest == sides.image.digest
    assert sides.destination.count("PUT .*/manifests/.*") == len(sides.image.manifests)


def test_a_connection_that_always_breaks_is_given_up(sides: Sides) -> None:
    sides.source.fail("GET .*/blobs/.*", "cut")
    sentence = sides.refused()
    assert f"{sides.source.host}/{SOURCE}: blobs/sha256:" in sentence
    assert "cut off, 4 times: try again later" in sentence
    assert sides.source.count("GET .*/blobs/.*") == 4


def test_a_registry_that_is_not_there_is_told_by_name(sides: Sides) -> None:
    nobody = replace(sides.artifact, source=f"ngc.example:1/{SOURCE}")
    with pytest.raises(MirrorError, match=rf"^ngc.example:1/{SOURCE}: manifests/2.0.1: no connection, .*, 4 times"):
        mirror(nobody, logins=sides.logins)


def test_tokens_that_expire_amid_the_copy_are_renewed(sides: Sides) -> None:
    sides.source.token_uses = 2
    sides.destination.scheme = "bearer"
    sides.destination.token_uses = 3
    assert sides.run().digest == sides.image.digest
    assert sides.source.count("GET /token") > 3
    assert sides.destination.count("GET /token") > 3


# --- What must not come through


def test_wrong_bytes_of_a_blob_are_not_kept_and_nothing_is_tagged(sides: Sides) -> None:
    bad = [*sides.image.blobs][1]
    sides.source.fail(f"GET .*/blobs/{bad}", "wrong")
    sentence = sides.refused()
    assert f"blobs/{bad}: wrong bytes" in sentence
    assert (DESTINATION, bad) not in sides.destination.blobs
    assert sides.tag is None


def test_wrong_bytes_of_a_manifest_are_noticed(sides: Sides) -> None:
    sides.source.fail("GET .*/manifests/.*", "wrong")
    assert f"not {sides.image.digest}" in sides.refused()
    assert sides.tag is None


def test_a_tag_that_somebody_else_wrote_meanwhile_is_told(sides: Sides) -> None:
    other = an_image("other")

    def overwrite(reference: str) -> None:
        if reference == "2.0.1":
            sides.destination.put(DESTINATION, "2.0.1", other)

    sides.destination.on_write = overwrite
    assert f"is {other.digest} although {sides.image.digest} was written" in sides.refused()


def test_what_is_no_manifest_is_not_copied(sides: Sides) -> None:
    for nonsense in (b"[]", b'{"config": {"digest": "../../x", "size": 1}}', b'{"blobs": []}'):
        sides.source.manifests[SOURCE, "2.0.1"] = ("application/json", nonsense)
        assert "manifests/2.0.1 is none that OCI or Docker v2 knows" in sides.refused()


# --- What is said


def test_a_missing_version_is_told_with_the_key_that_names_it(sides: Sides) -> None:
    del sides.source.manifests[SOURCE, "2.0.1"]
    sentence = sides.refused()
    assert sentence.startswith(f"{sides.source.host}/{SOURCE}: manifests/2.0.1: HTTP 404 (MANIFEST_UNKNOWN")
    assert "lls:imageTag" in sentence


def test_a_refused_key_is_told_with_how_to_get_one(sides: Sides) -> None:
    sides.source.login = Login("$oauthtoken", "another")
    sentence = sides.refused()
    assert f"{sides.source.host}/{SOURCE}: manifests/2.0.1: HTTP 401: set NGC_API_KEY" in sentence


def test_a_login_that_may_not_push_is_told_with_its_remedy(sides: Sides) -> None:
    sides.destination.scheme, sides.destination.may = "bearer", ("pull",)
    assert f"HTTP 401: {module.ECR_REMEDY}; 0 of " in sides.refused()
    sides.destination.fail("POST .*", 403)
    assert f"HTTP 403 (FAULT: that was [secret]): {module.ECR_REMEDY}; 0 of " in sides.refused()


def test_a_missing_repository_at_the_destination_is_told(sides: Sides) -> None:
    sides.destination.fail("POST .*", 404)
    assert "HTTP 404 (FAULT: that was [secret]): create the repository first" in sides.refused()


def test_any_other_refusal_is_not_tried_again(sides: Sides) -> None:
    sides.destination.fail("POST .*", 405)
    assert "HTTP 405" in sides.refused()
    assert sides.destination.count("POST .*") == 1


def test_an_answer_that_is_no_registrys_is_told(sides: Sides) -> None:
    sides.source.manifests[SOURCE, "2.0.1"] = ("text/html", b"\xff")
    assert "its answer is no registry's" in sides.refused()
    sides.source.fail("GET /token", 204)
    assert "its answer is no registry's" in sides.refused()


def test_a_host_without_a_login_is_asked_anonymously_whatever_the_user_has_at_home(
    sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text(f"machine ngc.example login {NGC.user} password {NGC.password}\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MirrorError, match=rf"HTTP 401: log in to {sides.source.host} first"):
        mirror(sides.artifact, logins={sides.destination.host: ECR})
    sides.source.challenged = False
    with pytest.raises(MirrorError, match="HTTP 401: log in"):
        mirror(sides.artifact, logins={sides.destination.host: ECR})


def test_a_registry_on_this_machine_is_logged_in_to_without_tls(sides: Sides) -> None:
    with Registry(login=NGC, scheme="basic") as plain:
        content = an_image("plain")
        plain.put("x", "1", content)
        artifact = Artifact(
            name="x", key="k", source=f"{plain.host}/x", destination=sides.artifact.destination, tag="1"
        )
        done = mirror(artifact, logins={**sides.logins, plain.host: NGC})
        assert done.digest == content.digest


# --- The stack's auth file


@pytest.mark.parametrize(("user", "scheme"), [("robot", "bearer"), ("robot", "basic"), (IDENTITY_TOKEN, "bearer")])
def test_a_credential_helper_of_the_auth_file_logs_in_with_a_password_or_an_identity_token(
    user: str, scheme: Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_helper("vault", f"""echo '{{"Username": "{user}", "Secret": "of the vault"}}'""", monkeypatch)
    Path("auth.json").write_text('{"credsStore": "vault"}')
    with (
        internet(tmp_path, "own.example") as certificate,
        Registry("own.example", login=Login(user, "of the vault"), certificate=certificate, scheme=scheme) as own,
    ):
        own.put("chart", "1", a_chart())
        assert exists(f"{own.host}/chart", "1", logins_of("auth.json"))
        assert not exists(f"{own.host}/chart", "2", logins_of("auth.json"))


def test_a_helper_is_asked_for_no_host_that_is_not_asked_for() -> None:
    Path("auth.json").write_text('{"credsStore": "nosuch"}')
    logins = logins_of("auth.json")
    with pytest.raises(MirrorError, match=r"lls:registryConfig: auth\.json has docker-credential-nosuch ask for the"):
        exists("own.example/chart", "1", logins)


@pytest.mark.parametrize("content", ["", "null", '{"auths": []}', '{"auths": {"own.example": {"auth": "?"}}}'])
def test_a_malformed_auth_file_is_one_sentence(content: str) -> None:
    Path("auth.json").write_text(content)
    with pytest.raises(MirrorError, match=r"lls:registryConfig auth\.json: [^\n]*: write it anew by `docker login`"):
        logins_of("auth.json")


def test_logs_hold_no_secret(sides: Sides, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        sides.run()
    assert caplog.records
    assert not [secret for secret in (*HIDDEN, "token-0") if secret in caplog.text]
