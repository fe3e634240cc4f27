"""ADBench's classical tables: how they are loaded, where each is published, and the files that were measured."""

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from anogan import protocol

from .datasets import Dataset, Generator, Limits, Split

PUBLISHED = "https://raw.githubusercontent.com/Minqi824/ADBench/main/adbench/datasets/Classical/{file}"
"""Address of a table (Han et al., ADBench, NeurIPS 2022; BSD-2 repository, the tables by their own authors)."""

SHA256 = {
    "1_ALOI.npz": "792d0b5bd1147bfc9574a1974f157b39fbd4cbed8ecd04cf983fd554498ed477",
    "2_annthyroid.npz": "e738f7c58a8740d2c4aac4c71ff49ce5e1d1aa16f44178135fc9c09df05fad1b",
    "3_backdoor.npz": None,
    "4_breastw.npz": "4f37ce07dbc25ddad8178fdc6d664ab46d2d0000ee28c2787c3c7ff3c03ef9f6",
    "5_campaign.npz": "74dd4d0072d6c6f1aabab63bc102f9633454f32bb936fa9bcfbd38f9f2386bcd",
    "6_cardio.npz": "bc5009bde6930b4d298b594f31b34485a9a17210cff0e8fb00a8c3068b885a2d",
    "7_Cardiotocography.npz": None,
    "8_celeba.npz": None,
    "9_census.npz": None,
    "10_cover.npz": None,
    "11_donors.npz": "5824ec854465f2763b4bfe3da1ae9f25ed5433b5c6e265d42e37da4f82a58679",
    "12_fault.npz": None,
    "13_fraud.npz": None,
    "14_glass.npz": None,
    "15_Hepatitis.npz": "4a87a2f7d8013e5bfde63294fae61ec7a612322de72f338a7f9491749025ad98",
    "16_http.npz": "9d98710091551587f4740cfc851a6b064fff6319a337c2dc77ee6da4bcc2e02c",
    "17_InternetAds.npz": None,
    "18_Ionosphere.npz": None,
    "19_landsat.npz": "ba17e2158c07469597b89db49d3982c874c6b713ff6670721ddc88969da77987",
    "20_letter.npz": None,
    "21_Lymphography.npz": "dad977b04f4ea65b78ccd0e9f76b45175bad605165b37e63f3cc177845e67037",
    "22_magic.gamma.npz": "0be375984d7af9ea7a63b12206c240840d8b7daa3607021c5fb8756407dd86f1",
    "23_mammography.npz": None,
    "24_mnist.npz": "be7706272325fdd3592c1be555ae1a82f916a2f8545f4f8cbaa548ab102cc44c",
    "25_musk.npz": "2ed3f4392197b76a1e59116ff880c7720a4b026cf4842073a53b56fdea265017",
    "26_optdigits.npz": "60de17a375a278ba220a7849727d998aa02b5e2f9fd17732a004bba28de4656e",
    "27_PageBlocks.npz": None,
    "28_pendigits.npz": "c4936b89dcdad59d303020e492f763a0f54170080d787c77497609acbb9c2d79",
    "29_Pima.npz": "215454bb263a2f040945c9ea7bd7f06f1e89a61a3143bdb6f196e3887e801a7d",
    "30_satellite.npz": None,
    "31_satimage-2.npz": "1b056e357f801b8b20c3f380a30224a3c4088d7ed764ec5a24828dc9b1918d6f",
    "32_shuttle.npz": "26900b0f6be45d9ddb7a402c9b2f956ceda42d23a8ca4cf4406b8bc1352823d1",
    "33_skin.npz": "d02aa01ffc1b6bf2b8b1ac250c90e8a8eacd0cefc962940ed5cc4bf5deac9c95",
    "34_smtp.npz": None,
    "35_SpamBase.npz": "d0c46c7928e43f6496bcd06e09de0b70f6bc8143792dfa0a43f450263d254e9b",
    "36_speech.npz": None,
    "37_Stamps.npz": None,
    "38_thyroid.npz": None,
    "39_vertebral.npz": "0816286f92b96fe6867664a41a031ac7228dcfbf1a5feefe50ca3883b2e9073d",
    "40_vowels.npz": None,
    "41_Waveform.npz": "6c9d867337ad1a2f8372c1d27f4c032f0401237e2041b7c45f00de8d319ff30f",
    "42_WBC.npz": "650f9dcb129248f67a291be0974f533ef259fcbde50fce5c8ad2a1cb2652d03b",
    "43_WDBC.npz": None,
    "44_Wilt.npz": "c70b72aa611ec87b20efb400943ef3ce4f8bf7aa58fcef825fbd28cc5cee3cc9",
    "45_wine.npz": "d5ad8965d92cc57122fe1e6572bb301adbaf795b3e166d187ae00a704d8f6e20",
    "46_WPBC.npz": None,
    "47_yeast.npz": "bbb15c873d78a4f6a589f46d0f75814595e2282d2ae7ce7779c750f276c3770d",
}
"""File name -> SHA-256 of the file that was measured; None: it was not measured."""


def tables(data_dir: Path, name: str = "semi") -> dict[str, Dataset]:
    """Return the tables in the data folder, split by one of `anogan.protocol.PROTOCOLS`."""

    def load(file: str, data_dir: Path, rng: Generator, limits: Limits) -> Split:
        with np.load(data_dir / file, allow_pickle=False) as content:
            X, labels = content["X"].astype(np.float64), content["y"] == 1
        return protocol.PROTOCOLS[name].apply(X, labels, rng, limits.get("max_rows"))

    found = {name_of(path.name): f"adbench/{path.name}" for path in data_dir.glob("adbench/*.npz")}
    return {t: Dataset(t, (found[t],), name, partial(load, found[t])) for t in sorted(found, key=str.lower)}


def normal_rows(data_dir: Path, table: str, rng: Generator) -> np.ndarray:
    """Return all normal rows of a table (n, d): the training half of a random split first, then the others."""
    split = tables(data_dir)[table].load(data_dir, rng, {})
    return np.concatenate([split.train, split.test[~split.labels]])


def in_order(data_dir: Path, table: str) -> np.ndarray:
    """Return all normal rows of a table (n, d) in the order of its file."""
    (file,) = tables(data_dir)[table].files
    with np.load(data_dir / file, allow_pickle=False) as content:
        return np.asarray(content["X"][content["y"] != 1], dtype=np.float64)


def name_of(file: str) -> str:
    """Return the name of a table: ``22_magic.gamma.npz`` -> ``magic.gamma``."""
    stem = file.removesuffix(".npz")
    return stem.partition("_")[2] or stem


def differs(path: Path) -> bool:
    """Return whether a table in the data folder is not, byte for byte, the one that was measured."""
    known = SHA256.get(path.name)
    return known is not None and hashlib.sha256(path.read_bytes()).hexdigest() != known
