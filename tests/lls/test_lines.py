import pytest

from lls import guide
from lls.lines import EXTRA_IMAGES, GUIDE, LINES, NEWEST, Extra, Line, line_of
from lls.operations.program.stack_file import PROJECT
from tests.support.configs import loaded
from tests.support.worlds import STACK


def row(line: Line) -> str:
    extras = ", ".join(f"{extra}: `{EXTRA_IMAGES[extra]}` {tag}" for extra, tag in line.extras.items())
    cells = (
        line.name,
        f"`{guide.RELEASE_NAME}` {line.chart_version}",
        f"`{guide.IMAGE_NAME}` {line.image_tag}",
        extras,
        f"`{line.path}`",
        f"[page]({line.source})",
        line.assumed,
    )
    return f"| {' | '.join(cells)} |"


def test_the_page_lists_every_line_as_the_program_knows_it() -> None:
    page = (PROJECT / "docs" / "lines.md").read_text()
    table = page.split("| line | ", 1)[1].partition("\n\n")[0].splitlines()[2:]
    assert table == [row(line) for line in LINES.values()]


def test_the_configs_defaults_are_the_guides_line() -> None:
    config = loaded(STACK)
    assert line_of(config.chart_version, config.image_tag) is GUIDE


def test_versions_are_of_a_line_only_together() -> None:
    assert line_of("3.0.0", "3.0.2") is NEWEST
    assert line_of("3.0.0", "2.0.1") is None


@pytest.mark.parametrize("line", LINES.values(), ids=str)
def test_each_lines_other_images_have_names(line: Line) -> None:
    names: set[Extra] = set(line.extras)
    assert names <= EXTRA_IMAGES.keys()
    assert line.path.startswith("nvcr.io/")
