"""The micrographs of Section 4.3 by name: where their files are found, and their digests.

The files belong to MCRpy and are not part of this package. The real materials are by Li et al.,
Scientific Reports 8, 13461 (2018), CC BY 4.0; the synthetic ones were made with PyMKS (MIT).
"""

import hashlib
import logging
import os
from pathlib import Path
from typing import NamedTuple

from davegan_tf.errors import InputError

logger = logging.getLogger(__name__)

UPSTREAM = (
    "https://raw.githubusercontent.com/NEFM-TUDresden/MCRpy/"
    "08b51b7c3be4dd9336d0b45c542fe8a18904a00e/example_microstructures/"
)
# (connect, read) in seconds: someone without a network shall not wait.
TIMEOUT = (3.0, 10.0)


LI_ET_AL = "CC BY 4.0 (Li et al., Scientific Reports 8, 13461, 2018; resized and cropped in MCRpy)"
PYMKS = "MIT (made with PyMKS, file of MCRpy)"


class Named(NamedTuple):
    """file name, SHA-256 in hexadecimal, number of phases, one line for people, licence of the data"""

    file: str
    sha256: str
    n_phases: int
    description: str
    licence: str = LI_ET_AL


NAMED: dict[str, Named] = {
    "alloy": Named(
        "alloy_resized.npy",
        "e9c5bfebd02f4a237dcda5b7cebeb20949f26c9a72a0aa0344084abf417752a6",
        2,
        "polycrystalline alloy: 0 grain boundary, 1 grain",
    ),
    "carbonate": Named(
        "carbonate_resized.npy",
        "2f3b38eaec9ae4f3bbb25c611015d8d42c04d2a850de2feaec5067becf82d043",
        2,
        "carbonate rock",
    ),
    "ceramics": Named(
        "ceramics_resized.npy",
        "f1650cb3237f8dd95b02905b11b8e2080688e34d4e4a247141b462899c62a4cb",
        2,
        "ceramics",
    ),
    "composite": Named(
        "composite_resized.npy",
        "41e8cde1a99220be81648c08d1d024f4a42925743cda76882a522a4102d1d783",
        3,
        "three-phase rubber composite",
    ),
    "copolymer": Named(
        "copolymer_resized.npy",
        "67b46ce518077018387f43df348ac7c77a75a4040597858b75624fdfc5c2153a",
        2,
        "block copolymer",
    ),
    "rubber": Named(
        "pmma_resized.npy",
        "bb99228666c1eaf9fb8417e98db442182f8912b6d8ce8285fdab28bb8f90d6db",
        2,
        "PMMA with SiO2 inclusions",
    ),
    "sandstone": Named(
        "sandstone_resized.npy",
        "6098034f56b695e1ccdf51698b7115c6a1975c29f6d910ba490117dab32f15a1",
        2,
        "sandstone",
    ),
    "synth1": Named(
        "pymks_ms_256x256_1.npy",
        "12dd77635e1550ab4275c94e76d81f3e291d78e7ebc06dc0fcbb7d6a158a888d",
        2,
        "synthetic, isotropic (PyMKS)",
        PYMKS,
    ),
    "synth2": Named(
        "pymks_ms_256x256_2.npy",
        "aa77f8368a2983de9b1d09d15545fee40e576ff660895c26f81c0ba835167195",
        2,
        "synthetic, drawn out horizontally (PyMKS)",
        PYMKS,
    ),
    "synth3": Named(
        "pymks_ms_256x256_3.npy",
        "b42f52f4ca1aa9f2426203996795a2c935484b153c6691d797aafc12efec18ea",
        2,
        "synthetic, drawn out further (PyMKS)",
        PYMKS,
    ),
}


class NotObtainable(InputError):
    """A named micrograph is neither on this computer nor to be downloaded."""


def cache_folder() -> Path:
    """The user's cache, where downloads are kept."""
    import pooch

    return Path(pooch.os_cache("davegan-tf"))


def search_folders() -> list[Path]:
    """Folders that are searched for a named micrograph, in this order, each once."""
    folders = []
    if os.environ.get("DAVEGAN_DATA"):
        # Unlike Path's, it leaves ~ of no user as it is.
        folders.append(Path(os.path.expanduser(os.environ["DAVEGAN_DATA"])))
    beside_repository = Path(__file__).resolve().parents[2] / "shared" / "micrographs"
    folders += [Path("..", "shared", "micrographs"), beside_repository, cache_folder()]
    unique: dict[str, Path] = {}
    for folder in folders:
        unique.setdefault(os.path.realpath(folder), folder)
    return list(unique.values())


def places(name: str) -> list[Path]:
    """Where a named micrograph is looked for, in this order; the files need not exist."""
    return [folder / NAMED[name].file for folder in search_folders()]


def find_local(name: str) -> Path | None:
    """The file of a named micrograph on this computer, its digest checked, or None.

    A file of that name with another content is not used; a warning is logged.
    """
    entry = NAMED[name]
    for path in places(name):
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            continue
        if digest == entry.sha256:
            return path
        logger.warning(
            "%s is not the %s micrograph of the paper (its SHA-256 begins %s, not %s) and is not "
            "used; replace it, or give it as a path to train on it as your own image.",
            path,
            name,
            digest[:12],
            entry.sha256[:12],
        )
    return None


def download(name: str) -> Path:
    """Download a named micrograph into the user's cache.

    Raises
    ------
    NotObtainable
        If that fails, with the ways out.
    """
    import pooch

    entry = NAMED[name]
    url = UPSTREAM + entry.file
    fetcher = pooch.create(
        path=cache_folder(), base_url=UPSTREAM, registry={entry.file: f"sha256:{entry.sha256}"}
    )
    # pooch announces downloads on stderr; the caller says where the file came from.
    pooch.get_logger().setLevel("ERROR")
    try:
        fetched = fetcher.fetch(entry.file, downloader=pooch.HTTPDownloader(timeout=TIMEOUT))
    except (OSError, ValueError) as error:
        raise NotObtainable(
            f'The micrograph "{name}" ({entry.file}) is not on this computer and could not be '
            f"downloaded ({_reason(error)}): put the file into a folder and set the environment "
            f"variable DAVEGAN_DATA to that folder, or connect to the network so that {url} can be "
            'reached, or set data.source to the path of an image of your own or to "grains", '
            "which is generated."
        ) from error
    return Path(fetched)


def _reason(error: Exception) -> str:
    """A few words on why a download failed; requests' own run over several lines."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return " ".join(str(error).split())[:160] or type(error).__name__
