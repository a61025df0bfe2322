"""The first minutes of a newcomer, from a clone to a trained network: run, and written down as docs/first_steps.md.

    python benchmarks/first_steps.py [--python python3]

Every command of the page is run as it stands there, in an environment that knows nothing but PATH; what it says is what
the page shows. It installs 1.4 GB into a temporary folder, and removes it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "first_steps.md"
INSTALL = """\
git clone ADDRESS archdsl && cd archdsl
python3 -m venv .venv && . .venv/bin/activate
pip install -c constraints.txt -e '.[torch,images]'"""
WRONG = """\
cat > net.arch <<'END'
block cell(c, stride=1) {
  f   = in -> conv(c, 3, stride) -> bn -> relu -> conv(c, 3) -> bn
  out = f + in -> relu
}

# A small network for digits, with a mistake.
model net(classes=10, width=16) {
  input [1, 8, 8]
  stem: conv(width, 3) -> bn -> relu
  body: cell(width) -> cell(2*width, 2)
  head: gap -> dense(classes)
}
END
archdsl check net.arch"""
RIGHT = """\
sed -i 's/, with a.*/./; s/out = .*/out = f + (in if stride == 1 else in -> conv(c, 1, stride)) -> relu/' net.arch
archdsl check net.arch && archdsl show net.arch"""
STEPS = (
    ("A spec with a mistake", "", WRONG),
    ("Put right", "The skip has to become as wide as what it is added to, and half as large.", RIGHT),
    ("What it compiles to", "A program that imports PyTorch alone; `--to keras` writes the same for Keras.",
     "archdsl compile net.arch -o net.py && sed -n '/^class Cell/,/^class Net/p' net.py"),
    ("Trained", "On scikit-learn's digits, which come with the package.",
     "archdsl train net.arch --data digits --epochs 5 --name first"),
    ("Measured again, by class", "", "archdsl eval runs/first"),
    ("Trained on", "", "archdsl train --resume runs/first --epochs 8"),
)  # fmt: skip
MORE = """\
## From here

- Your own images: a folder of class folders is enough, `archdsl train net.arch --input 3x64x64 --data ~/flowers`
  ([data.md](data.md)).
- A published network: `archdsl zoo` lists them, `archdsl show attention56` shows one, and
  `archdsl zoo attention56 > mine.arch` makes it yours.
- Every command has examples: `archdsl train --help`. `archdsl ops` lists what a spec can say, `archdsl explain E0203`
  what a mistake means. `archdsl completion --help` says how a shell completes them.
- The language: [language.md](language.md). Recipes: [training.md](training.md).
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--python", default="python3", help="the interpreter of a newcomer")
    python = options.parse_args().python
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "archdsl"
        install = INSTALL.replace("ADDRESS", str(ROOT)).replace("python3 -m", f"{python} -m")
        _, seconds = run(install, Path(folder))
        parts = [
            "# First steps",
            "",
            INTRO,
            "",
            "## Installed",
            "",
            fence(INSTALL, ""),
            took(seconds, size(clone / ".venv")),
        ]
        whole = seconds
        for title, prose, command in STEPS:
            said, seconds = run(f". .venv/bin/activate\n{command}", clone)
            whole += seconds
            parts += ["", f"## {title}", *(["", prose] if prose else []), "", fence(command, said), took(seconds)]
        parts += [
            "",
            MORE.rstrip(),
            "",
            f"All of it took {whole / 60:.1f} minutes on {os.cpu_count()} processor cores.",
            "",
        ]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


INTRO = """\
From nothing to a trained network. Every command was run as it stands here, in a fresh clone, and what is shown is what
it said: `benchmarks/first_steps.py` wrote this page."""


def run(command: str, folder: Path) -> tuple[str, float]:
    """What a shell says to these lines, and the seconds that it took. Ends where one fails that should not."""
    started = perf_counter()
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, text=True, capture_output=True)
    said = done.stdout + done.stderr
    if done.returncode != ("mistake" in command) or "Traceback" in said:
        sys.exit(f"{command}\n{said}")
    return said, perf_counter() - started


def fence(command: str, said: str) -> str:
    """A listing: commands behind `$`, what they said below."""
    shown = "\n".join(line.rstrip() for line in said.strip("\n").splitlines())
    return "```text\n$ " + command + (f"\n{shown}" if shown else "") + "\n```"


def took(seconds: float, megabytes: int = 0) -> str:
    return f"{seconds:.0f} s{f', {megabytes:,} MB' if megabytes else ''}."


def size(folder: Path) -> int:
    """MB on the disk."""
    return sum(f.lstat().st_blocks for f in folder.rglob("*")) * 512 // 2**20


if __name__ == "__main__":
    main()
