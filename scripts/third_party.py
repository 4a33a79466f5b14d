"""Prints the licences of everything that is built into the flumen binary: crates, and npm packages in its pages.

Texts that several packages share stand there once. Needs the pages' node_modules, which scripts/pages installs.
"""

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "crates/server/pages"


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def crates():
    """The crates that the binary is linked from, its own excepted, as (name, version, licence, address, folder)."""
    tree = cargo("tree", "--locked", "--package", "flumen", "--edges", "normal", "--prefix", "none", "--format", "{p}")
    linked = {tuple(re.match(r"(\S+) v(\S+)", line).groups()) for line in tree.splitlines() if line}
    for package in json.loads(cargo("metadata", "--locked", "--format-version", "1"))["packages"]:
        # What has no source is a part of this repository.
        if package["source"] and (package["name"], package["version"]) in linked:
            folder = Path(package["manifest_path"]).parent
            yield package["name"], package["version"], package["license"], package["repository"], folder


def npm_packages():
    """The npm packages that are built into the pages, in the same form."""
    for name in json.loads((PAGES / "package.json").read_text())["dependencies"]:
        folder = PAGES / "node_modules" / name
        package = json.loads((folder / "package.json").read_text())
        repository = package.get("repository", {})
        address = repository if isinstance(repository, str) else repository.get("url", "").removeprefix("git+")
        yield name, package["version"], package["license"], address, folder


def texts(folder):
    """The licence texts and notices in a package's folder."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and re.match(r"(?i)(licen[cs]e|copying|notice|copyright|unlicense)", file.name):
            yield file.read_text(errors="replace").replace("\r\n", "\n").strip()


def main():
    users = defaultdict(list)
    print("What the flumen binary is made of besides its own code, and under which licences.\n")
    for name, version, licence, address, folder in sorted([*crates(), *npm_packages()], key=lambda package: package[:2]):
        print(f"{name} {version}: {licence}{f', {address}' if address else ''}")
        for text in texts(folder):
            users[text].append(name)
    for text, names in users.items():
        print(f"\n{'=' * 80}\n{', '.join(dict.fromkeys(names))}\n{'-' * 80}\n\n{text}")


if __name__ == "__main__":
    main()
