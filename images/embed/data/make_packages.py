"""Makes packages.jsonl: 2,000 descriptions of Debian programs, one JSON line each, {"id": package, "text": ...}.

    python3 make_packages.py > packages.jsonl

Takes them from the package lists of this machine's apt sources, with the English long descriptions, fetched into a
temporary folder (no root needed). The choice is deterministic for the same lists: programs only, one package of each
source, the sections for users in turn, and within a section by the hash of the name, so that every kind of program is
there. The committed file was made from Debian 12 (bookworm), main.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

COUNT = 2000
WORDS_MAX = 45
SECTIONS = set(
    re.findall(
        r"\S+",
        """admin editors education electronics embedded games gnome graphics hamradio kde mail math misc net news
        science sound text utils video web x11""",
    )
)

Stanza = dict[str, str]


def stanzas(text: str) -> Iterator[Stanza]:
    """The fields of each block of a Debian control file; a field's further lines keep their line feeds."""
    for block in text.split("\n\n"):
        fields = re.findall(r"^([A-Za-z0-9-]+):[ ]?(.*(?:\n[ \t].*)*)", block, re.MULTILINE)
        if fields:
            yield dict(fields)


def lists(folder: Path) -> tuple[str, str]:
    """The texts of the Packages lists and of the English translations."""
    (folder / "lists/partial").mkdir(parents=True)
    options = ["-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}", "-o", "Debug::NoLocking=1"]
    options += ["-o", "Acquire::Languages=en", "-o", "APT::Sandbox::User=root"]
    subprocess.run(["apt-get", *options, "update", "-qq"], check=True)
    read = ["/usr/lib/apt/apt-helper", *options, "cat-file"]
    found = sorted((folder / "lists").glob("*_Packages*")), sorted((folder / "lists").glob("*_Translation-en*"))
    packages, translations = (
        subprocess.run([*read, *names], check=True, capture_output=True).stdout for names in found
    )
    return packages.decode(), translations.decode()


def sentence(short: str, long: str) -> str:
    """The short description and the first paragraph of the long one, cut after a sentence where that is near."""
    first = re.split(r"\n \.(?:\n|$)", "\n" + long)[0]
    words = f"{short.strip()}. {' '.join(first.split())}".split()
    text = " ".join(words[:WORDS_MAX])
    if len(words) > WORDS_MAX:
        end = text.rfind(". ", len(text) // 2)
        text = text[: end + 1] if end > 0 else text + " ..."
    return text


def candidates(packages: str, translations: str) -> dict[str, list[tuple[str, str]]]:
    """Section -> (package, text), in the order of the names' hashes."""
    texts = {s["Description-md5"]: s["Description-en"] for s in stanzas(translations) if "Description-en" in s}
    sections: dict[str, list[tuple[str, str]]] = {}
    seen: set[str] = set()
    for stanza in sorted(stanzas(packages), key=lambda s: hashlib.sha256(s["Package"].encode()).digest()):
        source = stanza.get("Source", stanza["Package"]).split()[0]
        section = stanza.get("Section", "misc").rpartition("/")[2]
        short, _, long = texts.get(stanza.get("Description-md5", ""), "").partition("\n")
        program = "role::program" in stanza.get("Tag", "") and section in SECTIONS
        if program and source not in seen and len(long.split()) >= 15:
            seen.add(source)
            sections.setdefault(section, []).append((stanza["Package"], sentence(short, long)))
    return sections


def main() -> None:
    os.environ["LC_ALL"] = "C"
    with tempfile.TemporaryDirectory() as folder:
        sections = candidates(*lists(Path(folder)))
    turns = zip_longest(*(sections[name] for name in sorted(sections)))
    chosen = [entry for turn in turns for entry in turn if entry is not None][:COUNT]
    for package, text in sorted(chosen):
        sys.stdout.write(json.dumps({"id": package, "text": text}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
