"""Weights of networks that no one here wrote, loaded into what was imported of them.

For each network: with the names that the imported file holds, and without them. Either the outputs
are the network's, to 1e-4 of their scale under weights of which each matters, or the weights are
refused with a reason. Ends with 1 if a pairing is wrong without a word, or fewer than 50 load.
Names choose networks: `scripts/proofs weights timm:dla34`.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch
from support.counting import perturbed

import cnncalc
from cnncalc.importing.from_torch.program import read_program
from cnncalc.importing.from_torch.tracing import trace
from cnncalc.importing.import_network import imported

TORCHVISION = """
    alexnet vgg11_bn squeezenet1_1 resnet18 resnet50 resnext50_32x4d wide_resnet50_2
    densenet121 googlenet inception_v3 mobilenet_v2 mobilenet_v3_small mnasnet0_5
    shufflenet_v2_x0_5 efficientnet_b0 regnet_x_400mf regnet_y_400mf convnext_tiny
""".split()  # noqa: SIM905 - a list of as many lines reads worse
TIMM = """
    dla34 dla46_c dla60_res2net repvgg_a0 repvgg_b0 mobileone_s0 mobileone_s1 hrnet_w18_small
    hrnet_w18_small_v2 resnext26ts resnext50_32x4d seresnext26d_32x4d res2net50_26w_4s
    res2next50 resnest14d resnest26d skresnet18 skresnet34 ecaresnet26t resnet10t resnet26d
    resnetv2_50 resnetrs50 ese_vovnet19b_dw ese_vovnet39b ghostnet_050 ghostnetv2_100
    mobilenetv4_conv_small mobilenetv3_small_050 mobilenet_edgetpu_v2_xs efficientnet_lite0
    tf_efficientnetv2_b0 mixnet_s mnasnet_small spnasnet_100 fbnetc_100 tinynet_e lcnet_035
    hardcorenas_a cspresnet50 cspdarknet53 darknet53 darknetaa53 selecsls42 dpn68 dpn48b
    xception41 legacy_xception inception_v4 inception_resnet_v2 nf_regnet_b0 convnext_atto
    convnextv2_atto convmixer_768_32 inception_next_atto starnet_s1 rdnet_tiny fasternet_t0
    vovnet39a gernet_s regnetx_002 regnety_002 regnetz_005 rexnet_100 semnasnet_075 tresnet_m
    edgenext_xx_small poolformerv2_s12
""".split()  # noqa: SIM905 - a list of as many lines reads worse


def networks() -> list[str]:
    return [*(f"torchvision:{name}" for name in TORCHVISION), *(f"timm:{name}" for name in TIMM)]


def model_of(name: str) -> tuple[Any, tuple[int, ...]]:
    library, _, network = name.partition(":")
    if library == "torchvision":
        import torchvision

        options = {"init_weights": True} if network in ("googlenet", "inception_v3") else {}
        side = 96 if network == "inception_v3" else 64
        return torchvision.models.get_model(network, **options), (3, side, side)
    import timm

    return timm.create_model(network), (3, 96, 96)


def difference(network: Any, model: Any, shape: tuple[int, ...]) -> float:
    """Of the outputs, by their scale. Raises `UsageError` if weights cannot be paired."""
    with torch.device("meta"):
        ours = cnncalc.build(network)
    ours.to_empty(device="cpu").eval()
    loaded = cnncalc.load_weights(ours, model.state_dict(), strict=False)
    left = [name for name in loaded.missing if not name.endswith("num_batches_tracked")]
    if left:
        reason = "could change places" if loaded.exchangeable else "has no counterpart"
        raise cnncalc.UsageError(f"{reason}: {(loaded.exchangeable or left)[0]}")
    x = torch.randn(2, *shape)
    with torch.no_grad():
        expected, output = model(x), ours(x)
    spread = float((expected[0] - expected[1]).abs().max() / expected.abs().max())
    if not spread > 1e-3:
        raise cnncalc.UsageError(f"the image hardly matters: {spread:.0e}")
    return float((output - expected).abs().max() / expected.abs().max())


def outcome(name: str) -> list[str]:
    model, shape = model_of(name)
    perturbed(model, shape)
    network = imported(read_program(trace(model, shape, name, hint=""), "it"))
    found = []
    bare = {key: value for key, value in network.spec.items() if key != "imported"}
    for spec in (network.spec, bare):
        try:
            error = difference(spec, model, shape)
        except cnncalc.CnncalcError as refused:
            found.append("refused: " + str(refused).splitlines()[0][:90])
        else:
            found.append("equal" if error < 1e-4 else f"WRONG {error:.0e}")
    return found


def main(chosen: list[str]) -> int:
    warnings.simplefilter("ignore")
    results = {}
    for name in chosen or networks():
        try:
            results[name] = outcome(name)
        except Exception as error:  # noqa: BLE001 - what cannot be followed is said
            results[name] = [f"not followed: {type(error).__name__}: {str(error)[:80]}", ""]
        print(f"{name:36} {results[name][0]:12}  without names: {results[name][1]}", flush=True)
    equal = [sum(result[way] == "equal" for result in results.values()) for way in (0, 1)]
    wrong = [name for name, result in results.items() if any("WRONG" in each for each in result)]
    print(
        f"{len(results)} networks: {equal[0]} equal by the file's names, {equal[1]} without them;"
        f" wrong: {', '.join(wrong) or 'none'}"
    )
    return 1 if wrong or (not chosen and equal[0] < 50) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
