"""Where the files of the ten tasks of NAS-Bench-360 can be had, in one table.

The addresses are those in the readme files of the benchmark and of DASH. The authors call the bucket's links old, and
point to a folder of Google Drive, which only a browser can open.
"""

from dataclasses import dataclass

from dashnas.tasks.unpack import Limits

SHARED_FOLDER = "https://drive.google.com/drive/folders/1OOp6UrCiP79mTIkCrUdjjHWDo8K0bJUw"
"""The authors' own, with all files."""
_BUCKET = "https://pde-xd.s3.amazonaws.com/"


@dataclass(frozen=True, kw_only=True)
class OfficialFile:
    """One file of a task."""

    name: str
    """In the task's folder."""
    addresses: tuple[str, ...]
    """Where it can be downloaded, in order of preference."""
    megabytes: float
    """About."""
    size: int | None = None
    """In bytes, where it is known."""
    checksum: str | None = None
    """Such as `sha256:...`, where it is known."""
    unpacks_to: tuple[str, ...] = ()
    """What of an archive the task reads; none for a file that is read as it is."""
    limits: Limits | None = None
    """Of an archive."""
    also_named: tuple[str, ...] = ()
    """Other names and forms that the task reads too."""
    by_hand: tuple[str, ...] = ()
    """Further addresses, for a browser."""


def _in_bucket(
    path: str,
    megabytes: float,
    *,
    checksum: str | None = None,
    also_named: tuple[str, ...] = (),
    by_hand: tuple[str, ...] = (),
) -> OfficialFile:
    return OfficialFile(
        name=path.rpartition("/")[2],
        addresses=(_BUCKET + path,),
        megabytes=megabytes,
        checksum=checksum,
        also_named=also_named,
        by_hand=by_hand,
    )


def _archive(path: str, megabytes: float, *unpacks_to: str, members: int, gigabytes: float) -> OfficialFile:
    return OfficialFile(
        name=path.rpartition("/")[2],
        addresses=(_BUCKET + path,),
        megabytes=megabytes,
        unpacks_to=unpacks_to,
        limits=Limits(members=members, bytes=int(gigabytes * 1e9)),
    )


OFFICIAL_FILES: dict[str, tuple[OfficialFile, ...]] = {
    "cifar100": (
        OfficialFile(
            name="cifar-100-python.tar.gz",
            addresses=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
            megabytes=169,
            size=169_001_437,
            checksum="sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            unpacks_to=("cifar-100-python/train", "cifar-100-python/test"),
            limits=Limits(members=100, bytes=10**9),
        ),
    ),
    "spherical": (_in_bucket("spherical/s2_cifar100.gz", 272, also_named=("s2_cifar100",)),),
    # Checksums as the loader of another benchmark has them (fwrench).
    "ninapro": (
        _in_bucket("ninapro/ninapro_train.npy", 18, checksum="md5:d4c33785587983348e6091e86a0d30b6"),
        _in_bucket("ninapro/ninapro_val.npy", 4.4, checksum="md5:138b106d4374a3fc204e41f6c4deda49"),
        _in_bucket("ninapro/ninapro_test.npy", 4.4, checksum="md5:8a2b2cf87d5a5cf3986db2d67ebcfa18"),
        _in_bucket("ninapro/label_train.npy", 0.02, checksum="md5:4164e7fcae3f8abed0a04fd86b704f77"),
        _in_bucket("ninapro/label_val.npy", 0.01, checksum="md5:f0464819f7ed56cb1cbbfafd312bd604"),
        _in_bucket("ninapro/label_test.npy", 0.01, checksum="md5:807b502000dba69ae0111063970ac5d2"),
    ),
    "fsd50k": (_archive("audio/audio.zip", 24_000, "chunks", "noise_22050", members=3_000_000, gigabytes=200),),
    "darcy": (
        _in_bucket("piececonst_r421_N1024_smooth1.mat", 1600),
        _in_bucket("piececonst_r421_N1024_smooth2.mat", 1600),
    ),
    "psicov": (
        _archive("protein.zip", 1100, "deepcov.lst", "psicov.lst", "deepcov", "psicov", members=100_000, gigabytes=50),
    ),
    "cosmic": (
        _archive("cosmic/deepCR.ACS-WFC.train.tar", 6500, "npy_train", members=500_000, gigabytes=20),
        _archive("cosmic/deepCR.ACS-WFC.test.tar", 2000, "npy_test", members=500_000, gigabytes=10),
    ),
    "ecg": (
        _in_bucket(
            "ECG/challenge2017.pkl",
            150,
            by_hand=("https://drive.google.com/uc?id=1j7Yk0-W9uonQiyyG2B9ZAw5jjZA-UeMS",),
        ),
    ),
    "satellite": (
        _in_bucket("satellite/satellite_train.npy", 322),
        _in_bucket("satellite/satellite_test.npy", 35),
    ),
    "deepsea": (_in_bucket("deepsea/deepsea_filtered.npz", 860),),
}
"""The files of every task, by its name."""
