"""Compresses each file below a folder for a pack: python3 compress.py FROM TO EFFORT. FROM/NAME becomes TO/NAME.xz.

The effort is "most", which takes minutes for a library of hundreds of MiB, or "least", for tests.
"""

import lzma
import shutil
import sys
from pathlib import Path

MIB = 1 << 20
# Of libraries of several hundred MiB, equal parts lie far from each other.
LARGEST_DICTIONARY = 256 * MIB
SMALLEST_DICTIONARY = 64 << 10
SAID_EVERY = 32 * MIB


def method(effort, size):
    if effort == "least":
        return {"preset": 0}
    dictionary = min(LARGEST_DICTIONARY, max(SMALLEST_DICTIONARY, size))
    return {"preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}


def compress(source, target, effort):
    size = source.stat().st_size
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, **method(effort, size)}]
    target.parent.mkdir(parents=True, exist_ok=True)
    # The parts of a pack have hashes of their own, so that a short checksum is enough.
    with open(source, "rb") as file, lzma.open(target, "wb", check=lzma.CHECK_CRC32, filters=filters) as compressed:
        done = 0
        while block := file.read(MIB):
            compressed.write(block)
            done += len(block)
            if done % SAID_EVERY == 0:
                print(f"compressing {source.name}: {done // MIB} of {size // MIB} MiB", flush=True)
    shutil.copymode(source, target)


def main(source, target, effort):
    for path in sorted(Path(source).rglob("*")):
        if path.is_file():
            compress(path, Path(target) / f"{path.relative_to(source)}.xz", effort)


main(*sys.argv[1:])
