"""Run the code blocks of README.md as a newcomer would: clean virtual environment, from top to bottom.

Blocks in ```bash, ```console (the lines behind `$ `) and ```python are run; one that fails ends the run with
its line in the README. Each block is a process of its own: files carry over to the next, variables do not.
What may stand behind the language is in CONTRIBUTING.md, "Code blocks in the README".
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fences import Fence, read_fences

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("bash", "console", "python")
MISSPELT = {
    "sh": "bash",
    "shell": "bash",
    "zsh": "bash",
    "py": "python",
    "python3": "python",
    "pycon": "python",
}


@dataclass(frozen=True)
class Block:
    """A code block that the README promises to work."""

    line: int
    """Line of the opening fence, counted from 1."""
    language: str
    code: str
    in_checkout: bool = False
    """Run at the root of a copy of the checkout instead of in the working folder."""
    skip_reason: str = ""
    """Why the block is not run; empty when it is."""


def read_blocks(markdown: str) -> list[Block]:
    """Read the blocks to run, in their order.

    Raises:
        ValueError: a tag or a language that would leave a block unrun without saying so.
    """
    return [block for fence in read_fences(markdown) if (block := _read_block(fence))]


def _read_block(fence: Fence) -> Block | None:
    language, _, tag = fence.info.partition(" ")
    tag = tag.strip()
    if language in MISSPELT:
        raise ValueError(
            f"line {fence.line}: write {MISSPELT[language]} instead of {language}, so that the block is run"
        )
    if language not in LANGUAGES:
        return None
    code = _commands(fence.text) if language == "console" else fence.text
    if not code.strip():
        raise ValueError(f"line {fence.line}: nothing to run in this {language} block; in console blocks, `$ ` leads")
    if not tag:
        return Block(fence.line, language, code)
    if tag == "checkout":
        return Block(fence.line, language, code, in_checkout=True)
    if tag.startswith("skip:") and (reason := tag.removeprefix("skip:").strip()):
        return Block(fence.line, language, code, skip_reason=reason)
    raise ValueError(f"line {fence.line}: {tag!r} behind {language}; expected nothing, 'checkout' or 'skip: REASON'")


def _commands(session: str) -> str:
    """The commands of a terminal session: behind `$ `, going on behind `> `; its output is left out."""
    commands: list[str] = []
    in_command = False
    for line in session.splitlines():
        in_command = line.startswith("$ ") or (in_command and line.startswith("> "))
        # A blank line in the place of output keeps the line numbers of messages.
        commands.append(line[2:] if in_command else "")
    return "".join(f"{command}\n" for command in commands)


def clean_environment(environment: Mapping[str, str], venv: Path) -> dict[str, str]:
    """The variables of an activated `venv`, without what the calling make or Python has set for itself."""
    ours = {"PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
    kept = {name: value for name, value in environment.items() if name not in ours}
    return kept | {
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}",
    }


def copy_checkout(target: Path) -> None:
    """Copy what a clone would have: tracked files and new ones, nothing that git ignores."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():  # a tracked file may be deleted in the work tree
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def make_venv(venv: Path, source: Path) -> None:
    """Install the package as a user gets it, not editable; PyTorch first, as in `make setup`."""
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    constraints = source / "constraints.txt"
    torch = next(line for line in constraints.read_text().splitlines() if line.startswith("torch=="))
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, torch], check=True)
    subprocess.run([*pip, "-c", str(constraints), str(source)], check=True)


def run_block(block: Block, *, scripts: Path, folder: Path, environment: Mapping[str, str]) -> int:
    """Run one block in `folder`, streaming what it prints; gives its exit code."""
    script = scripts / f"readme_line_{block.line}.{'py' if block.language == 'python' else 'sh'}"
    script.write_text("\n" * block.line + block.code)  # so that a traceback names the line of the README
    command = ["python", str(script)] if block.language == "python" else ["bash", "-e", "-o", "pipefail", str(script)]
    # The names are looked up on the PATH of `environment`, so python is the clean one.
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL).returncode


def run_blocks(blocks: list[Block]) -> int:
    """Run the blocks in one clean environment; gives the exit code of the whole."""
    with tempfile.TemporaryDirectory(prefix="dashnas-readme-") as temporary:
        folders = (Path(temporary) / name for name in ("source", "checkout", "work", "scripts", "venv"))
        source, checkout, work, scripts, venv = folders
        print("making a clean virtual environment", flush=True)
        for copy in (source, checkout):  # installing leaves a build folder in the source
            copy_checkout(copy)
        make_venv(venv, source)
        work.mkdir()
        scripts.mkdir()
        environment = clean_environment(os.environ, venv)
        for block in blocks:
            where = f"README.md:{block.line}: {block.language}"
            if block.skip_reason:
                print(f"== {where}, skipped: {block.skip_reason}", flush=True)
                continue
            print(f"== {where}", flush=True)
            started = time.monotonic()
            folder = checkout if block.in_checkout else work
            if returncode := run_block(block, scripts=scripts, folder=folder, environment=environment):
                print(f"{where} block failed with exit code {returncode}", file=sys.stderr)
                return 1
            print(f"   {time.monotonic() - started:.1f} s", flush=True)
    skipped = sum(bool(block.skip_reason) for block in blocks)
    print(f"{len(blocks) - skipped} code blocks of the README ran, {skipped} skipped")
    return 0


def main() -> int:
    """Run the blocks, or list them."""
    parser = argparse.ArgumentParser(description="Run the code blocks of README.md in a clean virtual environment.")
    parser.add_argument("--list", action="store_true", help="list the blocks instead of running them")
    arguments = parser.parse_args()
    try:
        blocks = read_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    except ValueError as error:
        print(f"README.md: {error}", file=sys.stderr)
        return 1
    if not arguments.list:
        return run_blocks(blocks)
    for block in blocks:
        how = f"skip: {block.skip_reason}" if block.skip_reason else "checkout" if block.in_checkout else ""
        print(f"README.md:{block.line}: {block.language} {how}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
