"""Pictures that are downloaded once and kept: MNIST and its kin, three digits as one, CIFAR-10, the fixed binary MNIST.

Each comes with its own test split, which is kept; a tenth of its training images is held out for
validation, but for `mnist-static`, which comes with that too.

    mnist           LeCun et al. (1998)              28x28, 60,000 + 10,000
    fashion-mnist   Xiao et al. (2017), arXiv:1708.07747
    kmnist          Clanuwat et al. (2018), arXiv:1812.01718
    cifar10         Krizhevsky (2009)                3x32x32, 50,000 + 10,000
    stacked-mnist   Metz et al. (2017), arXiv:1611.02163: three digits as the channels of one picture, 1,000 classes
    mnist-static    Larochelle & Murray (2011), after Salakhutdinov & Murray (2008): one fixed draw of bits
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import UserError
from .arrays import parse_idx
from .base import InMemory, Source, hash_seed
from .download import Progress, Remote, contents, data_folder
from .embedded import DIGITS
from .images import Pictures, digests_of
from .splits import hold_out

GARMENTS = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

IDX_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def _idx(folder: str, base: str, checksums: tuple[str, str, str, str], packed: bool = False) -> tuple[Remote, ...]:
    names = [f"{name}-ubyte.gz" for name in IDX_FILES]
    return tuple(
        Remote(f"{folder}/{name}", base + name, checksum, packed)
        for name, checksum in zip(names, checksums, strict=True)
    )


MNIST = _idx(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
FASHION_MNIST = _idx(
    "fashion_mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
# The checksums of the files as published: those of what they unpack to are not known to us.
KMNIST = _idx(
    "kmnist",
    "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    (
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
    packed=True,
)
CIFAR10 = Remote(
    "cifar10/cifar-10-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    packed=True,
)
MNIST_STATIC = {
    part: Remote(
        f"mnist_binarized/binarized_mnist_{part}.amat",
        f"http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/binarized_mnist_{part}.amat",
        checksum,
    )
    for part, checksum in (
        ("train", "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d"),
        ("valid", "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2"),
        ("test", "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c"),
    )
}


def mnist(progress: Progress | None = None) -> Pictures:
    """Handwritten digits, 28x28."""
    return _idx_pictures(MNIST, DIGITS, progress)


def fashion_mnist(progress: Progress | None = None) -> Pictures:
    """Garments, 28x28."""
    return _idx_pictures(FASHION_MNIST, GARMENTS, progress)


def kmnist(progress: Progress | None = None) -> Pictures:
    """Cursive Japanese characters, 28x28."""
    return _idx_pictures(KMNIST, KANA, progress)


def _idx_pictures(remotes: tuple[Remote, ...], classes: tuple[str, ...], progress: Progress | None) -> Pictures:
    train_x, train_y, test_x, test_y = (
        parse_idx(io.BytesIO(raw), remote.file, len(raw))
        for remote, raw in zip(remotes, contents(remotes, progress), strict=True)
    )
    x = torch.from_numpy(np.concatenate([train_x, test_x]))[:, None]
    return _pictures(x, np.concatenate([train_y, test_y]), classes, train=len(train_x))


def _pictures(x: Tensor, y: np.ndarray, classes: tuple[str, ...], train: int, notes: tuple[str, ...] = ()) -> Pictures:
    C, H, W = x.shape[1:]
    parts = hold_out(train, len(x) - train)
    labels = torch.from_numpy(y.astype(np.int64))
    return Pictures(InMemory(x), (C, H, W), 256, digests_of(x), labels, classes, notes, parts)


@dataclass(frozen=True)
class Stacked:
    """Pictures whose channels are other pictures, put together as they are asked for.

    Arguments:
        source: grey pictures.
        chosen: of which of them each picture is made, shape (N, C).
    """

    source: Source
    chosen: Tensor

    def __len__(self) -> int:
        return len(self.chosen)

    def take(self, indices: Tensor) -> Tensor:
        chosen = self.chosen[indices.cpu()]
        return self.source.take(chosen.flatten()).unflatten(0, chosen.shape).squeeze(2)


def stacked_mnist(progress: Progress | None = None) -> Pictures:
    """Three digits as the channels of one picture, 3x28x28: 128,000 of training digits, 10,000 of test digits."""
    digits = mnist(progress)
    assert digits.y is not None
    assert digits.parts is not None
    generator = torch.Generator().manual_seed(hash_seed("stacked mnist"))
    sizes = (115_200, 12_800, 10_000)
    drawn = zip(digits.parts, sizes, strict=True)  # no digit is in two splits
    chosen = torch.cat([of[torch.randint(len(of), (n, 3), generator=generator)] for of, n in drawn])
    known = np.frombuffer(b"".join(digits.digests), np.uint8).reshape(len(digits.digests), -1)
    digests = digests_of(torch.from_numpy(known[chosen.numpy()]))
    y = digits.y[chosen] @ torch.tensor([100, 10, 1])
    numbers = tuple(f"{i:03d}" for i in range(1000))
    train, valid, test = torch.arange(len(chosen)).split(sizes)
    stacked = Stacked(digits.source, chosen)
    return Pictures(stacked, (3, 28, 28), 256, digests, y, numbers, parts=(train, valid, test))


def cifar10(progress: Progress | None = None) -> Pictures:
    """Small photographs, 3x32x32: the binary version, or PNGs of 1,000 images each where these are there."""
    folder = data_folder() / "cifar10"
    batches = {int(path.stem.rpartition("_")[2]): path for path in folder.glob("cifar10_batch_*.png")}
    if batches and not (data_folder() / CIFAR10.file).exists():
        return _cifar10_png(folder, batches)
    files = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    with tarfile.open(fileobj=io.BytesIO(contents([CIFAR10], progress)[0]), mode="r:gz") as archive:
        members = {Path(member.name).name: archive.extractfile(member) for member in archive if member.isreg()}
        raw = b"".join(file.read() for name in files if (file := members[name]) is not None)
    rows = np.frombuffer(raw, np.uint8).reshape(-1, 1 + 3072)
    x = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy())
    return _pictures(x, rows[:, 0], THINGS, train=50_000)


def _cifar10_png(folder: Path, batches: dict[int, Path]) -> Pictures:
    """PNGs of (1,000 images, 1,024 pixels): 0 ... 49 of the training images, 50 ... 59 of the test images."""
    labels = folder / "cifar10_labels.npz"
    if not labels.exists() or min(batches) >= 50 or max(batches) < 50:
        raise UserError(f"{folder} needs cifar10_labels.npz and PNGs both below and from cifar10_batch_50.png on.")
    images = []
    for _, path in sorted(batches.items()):
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB")).reshape(-1, 32, 32, 3))
    x = np.concatenate(images).transpose(0, 3, 1, 2)
    with np.load(labels, allow_pickle=False) as arrays:
        y = np.concatenate([arrays["labels"][1000 * i : 1000 * (i + 1)] for i in sorted(batches)])
    train = 1000 * sum(i < 50 for i in batches)
    note = f"{train:,} of the 50,000 training images and {len(x) - train:,} of the 10,000 test images are there"
    return _pictures(torch.from_numpy(np.ascontiguousarray(x)), y, THINGS, train, (note,))


def mnist_static(progress: Progress | None = None) -> Pictures:
    """MNIST binarised once, 28x28, without labels: what nats on "static MNIST" are measured on."""
    packed = data_folder() / "mnist_binarized" / "binarized_mnist_packbits.npz"
    if packed.exists():
        with np.load(packed, allow_pickle=False) as arrays:
            bits = {part: np.unpackbits(arrays[part], axis=1) for part in MNIST_STATIC}
        for part, remote in MNIST_STATIC.items():
            if remote.unpack(_as_text(bits[part])) is None:
                raise UserError(f"{packed} does not hold the bits of {remote.url}; remove it, to have them downloaded.")
    else:
        texts = contents(list(MNIST_STATIC.values()), progress)
        bits = {part: _as_bits(text) for part, text in zip(MNIST_STATIC, texts, strict=True)}
    x = torch.from_numpy(np.concatenate(list(bits.values()))).view(-1, 1, 28, 28)
    train, valid, test = torch.arange(len(x)).split([len(part) for part in bits.values()])
    return Pictures(InMemory(x), (1, 28, 28), 2, digests_of(x), parts=(train, valid, test))


def _as_text(bits: np.ndarray) -> bytes:
    """Rows of bits as they were published: "0 1 ... 0\\n"."""
    text = np.full((len(bits), 2 * bits.shape[1]), ord(" "), np.uint8)
    text[:, ::2] = bits + ord("0")
    text[:, -1] = ord("\n")
    return text.tobytes()


def _as_bits(text: bytes) -> np.ndarray:
    return (np.frombuffer(text, np.uint8)[::2] - ord("0")).reshape(-1, 784)
