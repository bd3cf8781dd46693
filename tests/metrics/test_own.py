"""A network of the user's own is given what it was said to be trained on, and refused in words where it cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from lookalike.errors import UserError
from lookalike.metrics.features import build_space
from lookalike.spec import Spec

GREY, COLOUR = Spec("images", (1, 8, 8), levels=256), Spec("images", (3, 8, 8), levels=256)


def written(path: Path, shape: list[int | str], dtype: int = TensorProto.FLOAT, logits: bool = False) -> Path:
    """A network whose features are all numbers it is given, and whose logits are those times -1."""
    nodes = [
        helper.make_node("Cast", ["x"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["number"], ["features"]),
        helper.make_node("Neg", ["features"], ["logits"]),
    ]
    outputs = ["logits", "features"] if logits else ["features"]
    graph = helper.make_graph(
        nodes,
        "numbers",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
    )
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def seen(path: Path, h: Tensor, spec: Spec = GREY, **how) -> Tensor:
    return build_space(str(path), spec, tuple(h.shape[1:]), **how)(h).features.view(len(h), -1)


@pytest.mark.parametrize(("span", "black", "white"), [("0..1", 0, 1), ("-1..1", -1, 1), ("0..255", 0, 255)])
def test_a_file_is_given_the_range_it_was_trained_on(tmp_path, span, black, white):
    path = written(tmp_path / "net.onnx", ["n", 1, 8, 8])
    h = torch.cat([-torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8)])
    assert seen(path, h, span=span).unique(dim=1).flatten().tolist() == [black, white]


def test_imagenet_is_three_channels_about_its_mean(tmp_path):
    x = seen(written(tmp_path / "net.onnx", ["n", 3, 8, 8]), torch.ones(2, 1, 8, 8), span="imagenet").view(2, 3, 64)
    torch.testing.assert_close(x[0, :, 0], torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]))


def test_bytes_size_and_batch_of_a_file_are_kept_to(tmp_path):
    path = written(tmp_path / "net.onnx", [2, 3, 16, 16], TensorProto.UINT8)
    h = (2 * torch.arange(5) / 255 - 1).view(5, 1, 1, 1).expand(5, 1, 8, 8)
    space = build_space(path, GREY, (1, 8, 8))
    assert space.name.endswith("given 0..255 at 16x16")
    assert space.dims == 3 * 16 * 16
    assert space(h).features[:, 0].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match=r"takes images of 16x16, not 8x8"):
        build_space(path, GREY, (1, 8, 8), size=8)
    with pytest.raises(UserError, match=r"takes bytes: its range is 0..255"):
        build_space(path, GREY, (1, 8, 8), span="imagenet")


def test_logits_are_the_output_of_that_name(tmp_path):
    path = written(tmp_path / "net.onnx", ["n", 1, 8, 8], logits=True)
    space = build_space(path, GREY, (1, 8, 8))
    features, logits = space(torch.rand(3, 1, 8, 8))
    assert torch.equal(features, -logits)
    assert space.classes == 64
    assert not space.standardise


def test_what_cannot_be_used_is_said(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no file"):
        build_space("there-is-none.onnx", GREY, (1, 8, 8))
    (tmp_path / "bad.onnx").write_text("no network")
    with pytest.raises(UserError, match="cannot be used as a network"):
        build_space(tmp_path / "bad.onnx", GREY, (1, 8, 8))
    path = written(tmp_path / "net.onnx", ["n", 1, 8, 8])
    with pytest.raises(UserError, match="takes 1 channels, but the images have 3"):
        build_space(path, COLOUR, (3, 8, 8))
    with pytest.raises(UserError, match="of a network of your own"):
        build_space("random-conv", GREY, (1, 8, 8), span="0..1")
    with pytest.raises(UserError, match="same features for unlike items"):
        build_space(nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Threshold(300.0, 0.0)), GREY, (1, 8, 8))
    with pytest.raises(UserError, match=r"features of shape \(2, 1, 8, 8\)"):
        build_space(nn.Identity(), GREY, (1, 8, 8))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'lookalike\[onnx\]'"):
        build_space(path, GREY, (1, 8, 8))


def test_a_module_is_known_by_its_weights_and_given_the_channels_it_takes():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)).train()
    space = build_space(net, GREY, (1, 8, 8))
    assert space(torch.rand(5, 1, 8, 8)).features.shape == (5, 4)
    assert not net.training
    name = space.name
    assert build_space(net, GREY, (1, 8, 8)).name == name
    with torch.no_grad():
        net[0].bias.add_(1)
    assert build_space(net, GREY, (1, 8, 8)).name != name
    grey = build_space(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()), GREY, (1, 8, 8), size=16)
    assert grey.dims == 4 * 14 * 14


def test_rows_are_given_as_they_are(tmp_path):
    path = written(tmp_path / "net.onnx", ["n", 3])
    h = torch.randn(5, 3)
    assert torch.equal(seen(path, h, Spec("points", (3,))), h)
