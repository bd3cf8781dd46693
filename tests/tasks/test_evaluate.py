from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lookalike.data.base import Data, InMemory, Split
from lookalike.errors import UserError
from lookalike.metrics import FEATURES, METRICS
from lookalike.metrics.distances import frechet_distance
from lookalike.models.base import Bounded, Encoder, Explicit, Implicit, Latent, Model, Turn, seeded
from lookalike.options import options_of
from lookalike.recipe import find
from lookalike.report import Report, comparable
from lookalike.spec import Column, Spec
from lookalike.tasks import evaluate as task
from lookalike.tasks.evaluate import measure


class Gaussian(Explicit):
    """N(mean, std^2) in each coordinate, in the user's units."""

    exact = True

    def __init__(self, spec: Spec, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__(spec)
        self.mean = nn.Parameter(torch.tensor(mean, dtype=torch.float64))
        self.std = std
        self.drawn = 0

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return Normal(self.mean, self.std).log_prob(x).flatten(1).sum(1)

    def sample(self, n, y=None, *, seed=None, temperature=1.0):
        self.drawn += n
        with seeded(seed, self.device):
            return self.mean + self.std * torch.randn(n, *self.spec.shape, dtype=torch.float64)


class Uniform(Bounded, Encoder):
    """Images of uniform intensity whose bound is 1 nat / samples below log p(x), and a code that loses the sign."""

    latent = 1

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.scale = nn.Parameter(torch.ones(()))

    def log_prob(self, x, y=None, samples=1):
        return -self.spec.dims * math.log(self.spec.levels) - torch.full((len(x),), 1 / samples)

    def sample(self, n, y=None, *, seed=None, temperature=1.0):
        with seeded(seed, self.device):
            levels = self.spec.levels
            return torch.randint(levels, (n, *self.spec.shape)).float() / (levels - 1)

    def sample_means(self, n, y=None, *, seed=None, temperature=1.0):
        return torch.full((n, *self.spec.shape), 0.5)

    def encode(self, x, y=None):
        return x.flatten(1).mean(1, keepdim=True)

    def decode(self, z, y=None):
        return z[:, :, None, None].expand(-1, *self.spec.shape)


class OnlySamples(Implicit):
    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.scale = nn.Parameter(torch.ones(()))

    def turns(self, x, y=None, step=0):
        yield Turn("model", self.scale)

    def sample(self, n, y=None, *, seed=None, temperature=1.0):
        with seeded(seed, self.device):
            return torch.randn(n, *self.spec.shape, dtype=torch.float64)


class OnlyCodes(Model, Encoder):
    """A table's reconstruction that gives back `x_hat` for every row."""

    def __init__(self, spec: Spec, x_hat: Tensor) -> None:
        super().__init__(spec)
        self.x_hat = nn.Parameter(x_hat)

    def turns(self, x, y=None, step=0):
        yield Turn("model", self.x_hat.sum())

    def encode(self, x, y=None):
        return x[:, :1]

    def decode(self, z, y=None):
        return self.x_hat.expand(len(z), -1)


def splits(items: Tensor, **kwargs) -> dict[str, Split]:
    names = ("train", "valid", "test")
    return {name: Split(InMemory(part), **kwargs) for name, part in zip(names, items.chunk(3), strict=True)}


@pytest.fixture
def points() -> Data:
    x = torch.randn(900, 2, dtype=torch.float64)
    spec = Spec("points", (2,), columns=(Column("x"), Column("y")))
    return Data(
        "cloud",
        spec,
        **splits(x),
        fingerprint="f" * 32,
        log_density=lambda x: Normal(0.0, 1.0).log_prob(x).sum(1),
        modes=(torch.zeros(1, 2), 1.0),
    )


@pytest.fixture
def images() -> Data:
    x = torch.randint(16, (450, 1, 8, 8), dtype=torch.uint8)
    return Data("static", Spec("images", (1, 8, 8), levels=16), **splits(x, levels=16), fingerprint="a" * 32)


def test_an_exact_model_of_points(points):
    model = Gaussian(points.spec, std=2.0)
    metrics, skipped = measure(model, points)
    x = points.test.source.items
    torch.testing.assert_close(metrics["nats"].value, -model.log_prob(x).mean().item())
    assert metrics["nats"].kind == "exact"
    assert metrics["nats"].standard_error == pytest.approx(model.log_prob(x).std().item() / 300**0.5)
    kl = 2 * torch.distributions.kl_divergence(Normal(0.0, 1.0), Normal(0.0, 2.0)).item()
    assert abs(metrics["kl_to_truth"].value - kl) < 4 * metrics["kl_to_truth"].standard_error
    # Fréchet of N(0, 1) and N(0, 2^2), twice, up to what 300 items and 1000 samples leave open.
    assert metrics["frechet_distance"].value == pytest.approx(2, rel=0.2)
    assert metrics["frechet_floor"].value < 0.1
    assert metrics["modes_found"].value == 1
    assert metrics["high_quality"].value == pytest.approx(1 - math.exp(-9 / 8), abs=0.06)
    assert "for images" in skipped["ssim"]
    assert "no encoder" in skipped["mse"]
    assert set(metrics) | set(skipped) == set(METRICS)
    assert model.drawn == 1000, "one set of samples serves all metrics"


def test_a_bound_says_so_and_samples_tighten_it(images):
    metrics, skipped = measure(Uniform(images.spec), images, importance_samples=50, samples=200)
    entropy = 64 * math.log(16)
    assert metrics["nats"].value == pytest.approx(entropy + 1, rel=1e-6)
    assert metrics["nats_iw"].value == pytest.approx(entropy + 1 / 50, rel=1e-6)
    assert metrics["bits_per_dim_iw"].value == pytest.approx(4, abs=0.001)
    assert {metrics[name].kind for name in ("nats", "bits_per_dim", "nats_iw", "bits_per_dim_iw")} == {"lower bound"}
    assert metrics["nats"].protocol["estimator"] == "ELBO, 1 sample"
    assert "50 samples" in metrics["nats_iw"].protocol["estimator"]
    x = images.test.source.items / 15.0
    variance = x.flatten(1).var(1, correction=0).mean().item()
    assert metrics["mse"].value == pytest.approx(variance, rel=1e-5)
    assert metrics["ssim"].protocol["window"] == 7
    assert skipped["kl_to_truth"] == "the true density of static is not known"


def test_a_random_bound_does_not_depend_on_what_else_is_measured(images):
    class Noisy(Uniform):
        def log_prob(self, x, y=None, samples=1):
            return super().log_prob(x, y, samples) + torch.rand(len(x))

    alone = measure(Noisy(images.spec), images, metrics=["nats"])[0]["nats"]
    among = measure(Noisy(images.spec), images, metrics=["nats_iw", "coverage", "nats"])[0]["nats"]
    assert alone == among
    assert alone != measure(Noisy(images.spec), images, metrics=["nats"], seed=1)[0]["nats"]


def test_the_protocol_names_what_must_be_alike(images):
    metrics, _ = measure(Uniform(images.spec), images, samples=120, limit=100, split="valid")
    assert metrics["frechet_distance"].protocol == {
        "data": "a" * 12,
        "split": "valid",
        "items": 100,
        "levels": 16,
        "samples": 120,
        "features": "random-conv, standardised by the real items",
        "bias": "upwards, the more the fewer the items and samples",
        "standard error": "delta method",
    }
    assert metrics["coverage"].protocol["neighbours"] == 5


def test_dynamic_binarisation_is_stated_and_drawn_the_same_each_time(images):
    binary = {name: Split(split.source, levels=16, binarize="dynamic") for name, split in images.splits.items()}
    data = Data("binary", Spec("images", (1, 8, 8), levels=2), **binary)
    first, again, other = (measure(Uniform(data.spec), data, metrics=["mse"], seed=s)[0]["mse"] for s in (0, 0, 1))
    assert first.value == again.value != other.value
    assert first.protocol["binarisation"] == "dynamic"
    assert comparable(first, other), "two draws of the same protocol"


def test_static_is_said_of_the_fixed_file_alone(images):
    binary = {
        name: Split(InMemory((split.source.items > 7).to(torch.uint8)), levels=2)
        for name, split in images.splits.items()
    }
    for name, said in (("mnist-static", "static"), ("my-digits", None)):
        data = Data(name, Spec("images", (1, 8, 8), levels=2), **binary)
        assert measure(Uniform(data.spec), data, metrics=["mse"])[0]["mse"].protocol.get("binarisation") == said


class Weighing(Uniform):
    """Half of its importance weights are e^-20 of the others."""

    def log_weights(self, x, y=None, samples=1):
        low = torch.arange(samples)[:, None] % 2 * 20.0
        return (-self.spec.dims * math.log(self.spec.levels) - low).expand(samples, len(x)).double()


def test_the_importance_weighted_bound_and_how_many_samples_count_are_of_the_same_weights(images):
    metrics, _ = measure(Weighing(images.spec), images, metrics=["nats_iw", "effective_samples"], importance_samples=50)
    assert metrics["effective_samples"].value == pytest.approx(25, rel=1e-6)
    assert metrics["nats_iw"].value == pytest.approx(64 * math.log(16) + math.log(2), rel=1e-6)
    assert "50 samples" in metrics["effective_samples"].protocol["estimator"]
    alone = measure(Weighing(images.spec), images, metrics=["effective_samples"], importance_samples=50)[0]
    assert alone["effective_samples"] == metrics["effective_samples"]


@pytest.mark.parametrize(("noise", "recipe"), [("uniform", {}), ("variational", {"dequantisation": "variational"})])
def test_a_flow_states_how_it_dequantised(images, noise, recipe):
    model = find("realnvp").resolved("images", {"couplings": 1, "width": 4, "scales": 1, **recipe}).model(images.spec)
    nats = measure(model.eval(), images, metrics=["nats"], limit=4)[0]["nats"]
    assert nats.protocol["dequantisation"] == noise


def test_an_implicit_model_is_measured_by_its_samples_alone(points):
    metrics, skipped = measure(OnlySamples(points.spec), points, samples=200)
    assert {"frechet_distance", "kernel_distance", "precision", "coverage", "high_quality"} <= set(metrics)
    assert skipped["nats"] == "OnlySamples has no density log p(x)"
    assert skipped["kl_to_truth"] == "OnlySamples has no density log p(x)"
    assert abs(metrics["kernel_distance"].value) < 4 * metrics["kernel_distance"].standard_error


def test_a_conditional_model_draws_labels_as_frequent_as_the_data_and_says_what_it_is_given(points):
    class ByLabel(Gaussian):
        conditional = True

        def log_prob(self, x, y=None):
            return super().log_prob(x - 10 * y[:, None])

        def sample(self, n, y=None, *, seed=None, temperature=1.0):
            return super().sample(n, seed=seed) + 10 * y[:, None]

    y = (torch.arange(300) % 4 == 0).long()  # a quarter of the items are of class 1, ten units away
    x = points.test.source.items + 10 * y[:, None]
    data = Data("two", points.spec, points.train, points.valid, Split(InMemory(x), y), log_density=lambda x: x[:, 0])
    metrics, skipped = measure(ByLabel(data.spec), data)
    assert metrics["nats"].value < 4
    assert metrics["nats"].protocol["given"] == "label"
    assert abs(metrics["kernel_distance"].value) < 4 * metrics["kernel_distance"].standard_error
    assert skipped["kl_to_truth"] == "ByLabel has log p(x | label), not log p(x)"
    metrics, skipped = measure(ByLabel(data.spec), points)
    assert not metrics
    assert skipped["coverage"] == "ByLabel is conditional and cloud has no labels"


def test_too_few_items_are_a_reason_to_skip_not_to_fail(images):
    metrics, skipped = measure(Uniform(images.spec), images, samples=50)
    assert "at least 65 items of each, but got 150 real and 50 fake" in skipped["frechet_distance"]
    assert "frechet_distance" not in metrics
    assert "coverage" in metrics


def test_an_impossible_item_makes_the_mean_infinite(points):
    points.test.source.items[7] = math.inf
    metric = measure(Gaussian(points.spec), points, metrics=["nats"])[0]["nats"]
    assert metric.value == math.inf
    assert metric.standard_error is None
    assert metric.json()["value"] == "inf"


def test_a_row_is_compared_at_the_door_and_what_it_lacks_does_not_count():
    columns = (Column("age", mean=50.0, std=10.0, missing=True), Column("pet", categories=("cat", "dog", "eel")))
    spec = Spec("table", (2,), columns=columns)
    rows = torch.tensor([[60.0, 0.0], [math.nan, 0.0]], dtype=torch.float64).repeat(30, 1)
    data = Data("pets", spec, **splits(rows))
    # h of a row: there, missing, age, cat, dog, eel. The model says age 70 and a dog.
    model = OnlyCodes(spec, torch.tensor([70.0, 1.0], dtype=torch.float64))
    metrics, skipped = measure(model, data)
    there, lacking = (0 + 0 + 1 + 1 + 1 + 0) / 6, (1 + 1 + 0 + 1 + 1 + 0) / 6
    assert metrics["mse"].value == pytest.approx((there + lacking) / 2)
    assert "standardised" in metrics["mse"].protocol["units"]
    assert "nothing can be drawn" in skipped["frechet_distance"]


def test_what_is_measured_does_not_depend_on_the_chunks(points, monkeypatch):
    model = Gaussian(points.spec)
    whole, _ = measure(model, points)
    take = points.test.all
    monkeypatch.setattr(points.test, "all", lambda limit, chunk, seed: take(limit, 7, seed))
    for name, metric in measure(model, points)[0].items():
        assert metric.value == pytest.approx(whole[name].value), name


def test_unknown_names_are_refused_with_the_nearest(points):
    with pytest.raises(UserError, match="Did you mean 'frechet_distance'"):
        measure(Gaussian(points.spec), points, metrics=["frechet_distanc"])
    with pytest.raises(UserError, match="random-conv is for images"):
        measure(Gaussian(points.spec), points, features="random-conv")
    empty = Data("empty", points.spec, points.train, points.valid, Split(InMemory(torch.empty(0, 2))))
    with pytest.raises(UserError, match="empty has no test items"):
        measure(Gaussian(points.spec), empty)


def test_a_metric_is_one_function_and_one_entry(points, monkeypatch):
    from lookalike.metrics import MetricEntry

    def spread(fake: Tensor) -> Tensor:
        return fake.std(0).mean()

    monkeypatch.setitem(METRICS, "spread", MetricEntry("of samples", spread, {"fake": "samples"}, "higher"))
    metrics, _ = measure(Gaussian(points.spec, std=3.0), points, metrics=["spread"])
    assert metrics["spread"].value == pytest.approx(3, rel=0.1)


def test_the_help_names_every_feature_space():
    said = options_of(task.evaluate)["features"].help
    assert all(name in said for name in ("auto", *FEATURES))


def test_the_answer_has_the_agreed_shape(points, monkeypatch):
    model = Gaussian(points.spec)
    monkeypatch.setattr(
        task, "open_run", lambda run, device: (SimpleNamespace(path=Path(run)), model, torch.device("cpu"))
    )
    monkeypatch.setattr(task, "open_run_data", lambda run, data, **how: points)
    monkeypatch.setattr(task, "write_page", lambda run, report: None)
    told: list[str] = []
    monkeypatch.setattr(task, "counter", lambda what: lambda done, total: told.append(f"{what} {done}/{total}"))
    report = task.evaluate("runs/cloud", samples=100)
    assert told == [
        "features of data 300/300",
        "sampling 100/100",
        "features of training items 300/300",
        "measuring 300/300",
    ]
    assert isinstance(report, Report)
    answer = json.loads(json.dumps(report.json(), allow_nan=False))
    assert list(answer) == ["run", "data", "split", "metrics", "skipped"]
    assert (answer["run"], answer["data"], answer["split"]) == ("runs/cloud", "cloud", "test")
    for metric in answer["metrics"].values():
        assert set(metric) == {"value", "standard_error", "kind", "unit", "protocol"}
    real, fake = points.test.source.items, model.sample(100, seed=0)
    assert answer["metrics"]["frechet_distance"]["value"] == pytest.approx(
        frechet_distance(real, fake).item(), rel=1e-5
    )


def test_a_code_that_says_nothing_is_counted_over_all_items_and_named(images):
    numbers, _ = measure(Uniform(images.spec), images, metrics=["active_units"])
    assert numbers["active_units"].value == 0  # the mean of 64 uniform intensities hardly varies
    assert numbers["active_units"].protocol["latent"] == 1
    assert "posterior collapse: 0 of 1 code numbers" in task.collapse(numbers)[0]
    # Of one intensity each, alike within a chunk: it is over all items that they vary.
    x = torch.arange(6).mul(3).repeat_interleave(2000).repeat(3).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    varied = dataclasses.replace(images, **splits(x, levels=16))
    numbers, _ = measure(Uniform(images.spec), varied, metrics=["active_units"])
    assert numbers["active_units"].value == 1
    assert task.collapse(numbers) == []
    _, skipped = measure(Gaussian(images.spec), images, metrics=["active_units"])
    assert "no posterior" in skipped["active_units"]


class Doubling(Gaussian, Latent):
    latent = 2

    def decode(self, z, y=None):
        return 3 * z.double()


def test_the_path_length_of_a_linear_decoder_is_its_closed_form(points):
    """Of two draws of N(0, I) in the plane the radii are Rayleigh and their angle is uniform, so along the great circle
    E |z'|^2 = E (|b| - |a|)^2 + E r(t)^2 E omega^2."""
    found = measure(Doubling(points.spec), points, metrics=["path_length"], samples=4000)[0]["path_length"]
    truth = 9 * ((4 - math.pi) + (4 / 3 + math.pi / 6) * math.pi**2 / 3)
    assert abs(found.value - truth) < 4 * found.standard_error
    assert found.standard_error < 0.05 * truth
    assert found.protocol["epsilon"] == 1e-4
    _, skipped = measure(Gaussian(points.spec), points, metrics=["path_length"])
    assert skipped["path_length"] == "Gaussian has no code of numbers to move along"


class Copier(OnlySamples):
    """Gives back what it was trained on."""

    def __init__(self, data: Data) -> None:
        super().__init__(data.spec)
        self.items = data.train.source.items

    def sample(self, n, y=None, *, seed=None, temperature=1.0):
        with seeded(seed, self.device):
            return self.items[torch.randint(len(self.items), (n,))]


def test_a_model_that_gives_back_its_training_items_is_seen(points):
    copied = measure(Copier(points), points, metrics=["copying", "frechet_distance"], samples=200)[0]
    assert copied["copying"].value == 1
    assert copied["copying"].protocol["training items"] == 300
    assert copied["frechet_distance"].value < 0.1, "which no other measure sees"
    # Of another seed than the data, of which these would be copies.
    fresh = measure(OnlySamples(points.spec), points, metrics=["copying"], samples=200, seed=1)[0]["copying"]
    assert abs(fresh.value - 0.5) < 4 * fresh.standard_error
    _, skipped = measure(Copier(points), points, metrics=["copying"], split="train")
    assert "training split themselves" in skipped["copying"]


class Classifier(nn.Module):
    """Features and logits: which of 16 intensities the mean is nearest to."""

    def forward(self, x):
        mean = 15 * x.flatten(1).mean(1, keepdim=True)
        return x.flatten(1)[:, :4], -50 * (mean - torch.arange(16)).square()


def test_a_classifier_of_ones_own_judges_samples(images):
    class Even(Uniform):
        def sample(self, n, y=None, *, seed=None, temperature=1.0):
            return (2 * (torch.arange(n) % 8) / 15).view(n, 1, 1, 1).expand(n, *self.spec.shape)

    spec = dataclasses.replace(images.spec, classes=tuple(map(str, range(16))))
    y = torch.arange(150) % 16
    data = dataclasses.replace(images, spec=spec, train=Split(images.train.source, y, levels=16))
    names = ["inception_score", "classes_found", "classes_reverse_kl", "frechet_distance"]
    metrics, skipped = measure(Even(spec), data, metrics=names, samples=160, features=Classifier())
    assert not skipped
    assert metrics["inception_score"].value == pytest.approx(8)
    assert metrics["classes_found"].value == 8
    shares = torch.bincount(y) / 150
    truth = -(torch.full((8,), 1 / 8) * (8 * shares[::2]).log()).sum().item()
    assert metrics["classes_reverse_kl"].value == pytest.approx(truth, rel=1e-5)
    assert metrics["classes_found"].protocol["classifier"].startswith("Classifier ")
    assert "standardised" not in metrics["frechet_distance"].protocol["features"]
    _, skipped = measure(Even(spec), data, metrics=names, samples=160)
    assert "random-conv gives no class logits" in skipped["inception_score"]
    other = dataclasses.replace(data, spec=dataclasses.replace(spec, classes=("few", "many")))
    _, skipped = measure(Even(other.spec), other, metrics=names, samples=160, features=Classifier())
    assert "is no classifier of the 2 classes of static" in skipped["classes_found"]


def test_moments_alone_hold_no_features_and_give_the_same(images, monkeypatch):
    model = Uniform(images.spec)
    among = measure(model, images, metrics=["frechet_distance", "frechet_floor", "coverage"])[0]
    monkeypatch.setattr(torch, "cat", None)  # what holds features joins them
    alone = measure(model, images, metrics=["frechet_distance", "frechet_floor"])[0]
    assert alone["frechet_distance"].value == pytest.approx(among["frechet_distance"].value)
    assert alone["frechet_floor"] == among["frechet_floor"]


def test_features_of_real_images_are_kept_by_what_they_depend_on(images, tmp_path):
    model, names = Uniform(images.spec), ["frechet_distance", "kernel_distance"]

    def files() -> int:
        return len(list(tmp_path.glob("*.safetensors")))

    first = measure(model, images, metrics=names, cache=tmp_path)[0]
    assert files() == 1
    told: list[str] = []
    again = measure(
        model, images, metrics=names, cache=tmp_path, progress=lambda what: lambda done, total: told.append(what)
    )[0]
    assert again == first == measure(model, images, metrics=names)[0]
    assert "features of data" not in told, "they were read, not computed"
    measure(model, images, metrics=names, cache=tmp_path, limit=100)
    measure(model, dataclasses.replace(images, fingerprint="b" * 32), metrics=names, cache=tmp_path)
    assert files() == 3
    measure(model, images, metrics=names, cache=tmp_path, features=nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    assert files() == 3, "a module has no name that lasts"
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(b"broken")
    assert measure(model, images, metrics=names, cache=tmp_path)[0] == first
