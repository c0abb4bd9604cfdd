"""Joins the parts of a pack and unpacks them: python3 join.py FOLDER. The parts lie beside the folder of this file.

Each part is a folder with a piece of one tar file, whose members are compressed by compress.py.
"""

import hashlib
import json
import lzma
import shutil
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def trouble(name, sha256):
    """Why a part can't be used; None where it can."""
    piece = piece_of(name)
    if not piece.is_file():
        return f"{name} is missing: wanted {piece} with SHA-256 {sha256}"
    with open(piece, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != sha256:
        return f"{name} is damaged: wanted SHA-256 {sha256} of {piece}; got {digest.hexdigest()}"
    return None


def piece_of(name):
    return HERE.parent / name / "piece"


class Joined:
    """The pieces as one file, to read from."""

    def __init__(self, names):
        self.files = [open(piece_of(name), "rb") for name in names]

    def read(self, size):
        data = b""
        while self.files and len(data) < size:
            more = self.files[0].read(size - len(data))
            data += more
            if not more:
                self.files.pop(0).close()
        return data


def main(target):
    parts = json.loads((HERE / "parts.json").read_text())
    troubles = [found for part in parts if (found := trouble(part["name"], part["sha256"]))]
    if troubles:
        sys.exit("\n".join([*troubles, "carry these parts here again, each into the folder of its name"]))
    with tarfile.open(fileobj=Joined([part["name"] for part in parts]), mode="r|") as tar:
        for member in tar:
            if not member.isfile():
                continue
            path = target / member.name.removesuffix(".xz")
            path.parent.mkdir(parents=True, exist_ok=True)
            with lzma.open(tar.extractfile(member)) as source, open(path, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            path.chmod(member.mode)


main(Path(sys.argv[1]))
