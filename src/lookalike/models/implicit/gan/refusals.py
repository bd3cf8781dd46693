"""Combinations of a GAN's slots that contradict themselves, each with its reason.

What is not here is allowed: the slots are independent. `tests/models/test_gan_refusals.py` has a case for each entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ....errors import UserError
from ..losses import OBJECTIVES
from ..penalties import PENALTIES


class Refusal(NamedTuple):
    """When a choice is refused, and the sentence; its words in braces are the choice's own."""

    when: Callable[[Any], bool]
    reason: str


def _reads(choice: Any) -> str:
    return OBJECTIVES[choice.objective].reads


REFUSALS: Mapping[str, Refusal] = {
    "labels": Refusal(
        lambda c: c.condition != "none" and not c.spec.classes,
        "--condition {condition} needs labels, but this data has none. Name them with --label.",
    ),
    "normalised rows": Refusal(
        lambda c: c.spec.kind != "images" and {c.generator_norm, c.discriminator_norm} != {"none"},
        "normalisation is for the networks of images; those of {spec.kind} have none.",
    ),
    "free slopes": Refusal(
        lambda c: not OBJECTIVES[c.objective].bounded and c.penalty == c.constraint == "none",
        "the {objective} objective has no lowest value unless the discriminator's slopes are held: "
        "add --penalty wgan-gp, --constraint spectral or --constraint clip.",
    ),
    "penalty in a batch": Refusal(
        lambda c: c.penalty != "none" and c.batch_norm,
        "--penalty {penalty} is about the slope of one item's logit, which batch normalisation mixes with the rest of "
        "its batch: choose --discriminator-norm none or group.",
    ),
    "spectral in a batch": Refusal(
        lambda c: c.constraint == "spectral" and c.batch_norm,
        "--constraint spectral is about the slope of one item's logit, which batch normalisation mixes with the rest "
        "of its batch: choose --discriminator-norm none or group.",
    ),
    "energy of a logit": Refusal(
        lambda c: _reads(c) == "energies" and c.critic != "autoencoder",
        "the {objective} objective is of energies, which are never below 0, and the logit of a {critic} critic may be "
        "anything: add --critic autoencoder.",
    ),
    "sign of an energy": Refusal(
        lambda c: _reads(c) == "signs" and c.critic == "autoencoder",
        "the {objective} objective wants the logits of data above those of samples by sign, and minus an autoencoder's "
        "error is never above 0: choose --objective energy, boundary, relativistic or wasserstein.",
    ),
    "changes of a row": Refusal(
        lambda c: c.augment is not None and c.spec.kind != "images",
        "--augment changes images, and this data is {spec.kind}: use --instance-noise.",
    ),
    "strength of no change": Refusal(
        lambda c: c.augment is None and c.augment_strength is not None,
        "--augment-strength is of --augment, which is not given.",
    ),
    "steps of no noise": Refusal(
        lambda c: c.instance_noise == 0 and c.noise_steps is not None,
        "--noise-steps is of --instance-noise, which is 0.",
    ),
    "packs by label": Refusal(
        lambda c: c.pack > 1 and (c.condition != "none" or c.codes),
        "a pack of {pack} items has no one label or code: leave out --pack, or choose --condition none without codes.",
    ),
    "patches of a row": Refusal(
        lambda c: c.critic == "patch" and c.spec.kind != "images",
        "--critic patch is for images: {spec.kind} have no patches.",
    ),
    "patches by label": Refusal(
        lambda c: c.critic == "patch" and (c.condition in ("projection", "classifier") or c.codes),
        "what is told of a whole item, or projected on it, is not told of each patch: choose --critic scalar, or "
        "--condition concat without codes.",
    ),
    "energy by label": Refusal(
        lambda c: c.critic == "autoencoder" and (c.condition != "none" or c.codes),
        "an autoencoder's error is of an item alone, without labels and codes: choose --critic scalar.",
    ),
    "patches of your own": Refusal(
        lambda c: c.critic == "patch" and c.discriminator is not None,
        "a discriminator of your own gives one logit an item: leave out --critic patch, or return the mean of patches.",
    ),
    "pull-away without a code": Refusal(
        lambda c: c.pull_away > 0 and (c.critic != "autoencoder" or c.discriminator is not None),
        "--pull-away is about the codes of samples, which only --critic autoencoder with our own network has.",
    ),
    "one label for both": Refusal(
        lambda c: c.coding is not None and c.coding[0] in c.coding[1:],
        "--coding a,b,c labels samples a and data b, and the generator wants c: neither b nor c may be a.",
    ),
    "boundary's numbers": Refusal(
        lambda c: (c.diversity is not None or c.gain is not None) and not OBJECTIVES[c.objective].balanced,
        "--diversity and --gain are the controller's of the boundary objective, and the objective is {objective}: "
        "leave them out.",
    ),
    "numbers of no penalty": Refusal(
        lambda c: c.penalty == "none" and (c.penalty_target is not None or c.one_sided or c.penalty_weight == "auto"),
        "a target, a side and a measured weight are of a penalty, and --penalty is none.",
    ),
    "schedule of no penalty": Refusal(
        lambda c: c.penalty == "none" and c.penalty_halflife > 0,  # every nth step may be the recipe's own
        "--penalty-halflife is of a penalty, and --penalty is none.",
    ),
    "one side of 0": Refusal(
        lambda c: c.one_sided and (PENALTIES[c.penalty].target if c.penalty_target is None else c.penalty_target) == 0,
        "no slope is below 0, so --one-sided changes nothing at --penalty-target 0: leave it out.",
    ),
    "bound of nothing": Refusal(
        lambda c: c.bound is not None and c.constraint != "clip",
        "--bound is of --constraint clip, and the constraint is {constraint}.",
    ),
    "an energy's slopes": Refusal(
        lambda c: c.critic == "autoencoder" and c.constraint == "clip",
        "weights within bounds do not bound the slopes of an autoencoder's error: choose --penalty wgan-gp.",
    ),
}


def refuse(choice: Any) -> None:
    """Raise a UserError with the reason if a choice contradicts itself.

    Arguments:
        choice: with the builder's options as attributes, and spec, batch_norm, codes.
    """
    for refusal in REFUSALS.values():
        if refusal.when(choice):
            raise UserError(refusal.reason.format(**vars(choice)))
