"""The tools that keep the Markdown files true: which blocks of the README run, which links are wrong."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from check_links import anchors, broken_links  # noqa: E402
from fences import read_fences, without_fences  # noqa: E402
from run_readme import Block, clean_environment, read_blocks, run_block  # noqa: E402


def test_the_readme_has_only_blocks_that_the_runner_understands():
    blocks = read_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    assert any(not block.skip_reason for block in blocks)


def test_bash_and_python_blocks_are_run_in_their_order_and_others_are_not():
    others = "```text\nno\n```\n```\nno\n```\n```json\n{}\n```\n"
    markdown = f"# Title\n\n```bash\nls\n```\n{others}```python\nx = 1\n```\n"
    assert read_blocks(markdown) == [Block(3, "bash", "ls\n"), Block(15, "python", "x = 1\n")]


def test_of_a_console_block_the_commands_are_run_and_the_output_is_left_out():
    markdown = "```console\n$ ls \\\n>   -l\ntotal 0\n> not a command\n$ pwd\n```\n"
    assert read_blocks(markdown) == [Block(1, "console", "ls \\\n  -l\n\n\npwd\n")]


def test_a_tag_puts_a_block_in_the_checkout_or_skips_it_with_its_reason():
    markdown = "```bash checkout\nmake demo\n```\n```bash skip: takes an hour\nmake ci\n```\n"
    assert read_blocks(markdown) == [
        Block(1, "bash", "make demo\n", in_checkout=True),
        Block(4, "bash", "make ci\n", skip_reason="takes an hour"),
    ]


def test_a_block_in_a_list_loses_its_indentation_and_one_in_a_comment_is_run():
    markdown = "- do\n\n  ```python\n  if x:\n      y\n  ```\n\n<!--\n```bash\nhidden\n```\n-->\n"
    assert read_blocks(markdown) == [Block(3, "python", "if x:\n    y\n"), Block(9, "bash", "hidden\n")]


def test_a_longer_fence_holds_a_shorter_one():
    assert read_blocks("````bash\n```\n````\n") == [Block(1, "bash", "```\n")]


@pytest.mark.parametrize(
    ("markdown", "message"),
    [
        ("```sh\nls\n```\n", "line 1: write bash instead of sh"),
        ("\n```py\nx\n```\n", "line 2: write python instead of py"),
        (
            "```bash skip\nls\n```\n",
            r"line 1: 'skip' behind bash; expected nothing, 'checkout' or 'skip: REASON'",
        ),
        ("```bash skip:\nls\n```\n", "line 1: 'skip:' behind bash"),
        ("```python norun\nx\n```\n", "line 1: 'norun' behind python"),
        ("```console\nls\n```\n", "line 1: nothing to run in this console block"),
        ("text\n```bash\nls\n", "line 2: this fenced block is never closed"),
    ],
)
def test_a_block_that_would_silently_not_be_run_is_refused(markdown, message):
    with pytest.raises(ValueError, match=message):
        read_blocks(markdown)


@pytest.mark.parametrize(
    ("block", "returncode"),
    [
        (Block(1, "bash", "touch made\n"), 0),
        (Block(1, "bash", "false\ntouch made\n"), 1),
        (Block(1, "bash", "false | true\ntouch made\n"), 1),
        (Block(1, "python", "import pathlib\npathlib.Path('made').touch()\n"), 0),
        (Block(1, "python", "raise SystemExit(3)\n"), 3),
    ],
)
def test_a_block_runs_in_its_folder_and_stops_at_the_first_failure(tmp_path, block, returncode):
    environment = clean_environment({"PATH": "/usr/bin:/bin"}, Path(sys.prefix))
    folder = tmp_path / "work"
    folder.mkdir()
    assert run_block(block, scripts=tmp_path, folder=folder, environment=environment) == returncode
    assert (folder / "made").exists() == (returncode == 0)


def test_the_clean_environment_has_the_virtual_environment_first_and_nothing_of_make():
    environment = clean_environment({"PATH": "/bin", "PYTHONPATH": "src", "MAKELEVEL": "1", "HOME": "/h"}, Path("/v"))
    assert environment == {"PATH": "/v/bin:/bin", "VIRTUAL_ENV": "/v", "HOME": "/h"}


def test_without_fences_keeps_the_line_numbers():
    assert without_fences("a\n```bash\nb\n\n```\nc\n").splitlines() == ["a", "", "", "", "", "c"]
    assert [fence.line for fence in read_fences("a\n```\nb\n```\n~~~\nc\n~~~\n")] == [2, 5]


def test_anchors_are_made_as_github_makes_them():
    assert anchors("# Set up\n## What's `new`, *really*?\n# Set up\n```bash\n# no heading\n```\n") == {
        "set-up",
        "whats-new-really",
        "set-up-1",
    }


def test_links_that_lead_nowhere_are_told_with_their_line(tmp_path):
    (tmp_path / "there.md").write_text("# A heading\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[good](there.md#a-heading) [web](https://example.org/gone) [itself](#top) `[code](gone.md)`\n"
        "# Top\n```text\n[fenced](gone.md)\n```\n[gone](gone.md)\n![picture](no.png)\n"
        "[there](there.md#other)\n\n[reference]: also-gone.md\n"
    )
    assert list(broken_links(page)) == [
        f"{page}:6: gone.md leads to no file",
        f"{page}:7: no.png leads to no file",
        f"{page}:8: there.md#other leads to no heading of there.md",
        f"{page}:10: also-gone.md leads to no file",
    ]
