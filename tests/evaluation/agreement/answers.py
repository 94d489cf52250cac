"""Computes the answers of the other tools: python -m tests.evaluation.agreement.answers

Needs torch and torchvision, and the packages torch-fidelity 0.4, prdc 0.2, clean-fid 0.1.35 and pytorch-fid 0.3:
pip install torch torchvision && pip install --no-deps torch-fidelity prdc clean-fid pytorch-fid
Writes answers.json, and two small files of tensors in the formats of torch.save. `test_agreement` reads them all.
"""

import importlib.metadata
import json
import pathlib
from unittest import mock

import numpy as np

from tests.evaluation.agreement import inputs

HERE = pathlib.Path(__file__).parent
PACKAGES = ("torch", "torchvision", "torch-fidelity", "prdc", "clean-fid", "pytorch-fid")


def of_features(real, fake):
    import torch
    from prdc import compute_prdc
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    a, b = torch.from_numpy(real), torch.from_numpy(fake)
    frechet = fid_statistics_to_metric(fid_features_to_statistics(a), fid_features_to_statistics(b), False)
    kernel = kid_features_to_metric(
        a, b, kid_subsets=inputs.SUBSETS, kid_subset_size=inputs.SUBSET_SIZE, rng_seed=inputs.SEED, verbose=False
    )
    precision, recall = calculate_precision_recall_full(b, a, neighborhood=3)
    others = compute_prdc(real, fake, nearest_k=5)
    return {
        "frechet_distance": frechet["frechet_inception_distance"],
        "kernel_distance": kernel["kernel_inception_distance_mean"],
        "precision": precision,
        "recall": recall,
        "density": float(others["density"]),
        "coverage": float(others["coverage"]),
    }


def build_inception():
    """pytorch-fid's network with random weights, and its tensors."""
    import pytorch_fid.inception
    import torch
    import torchvision

    kept = []
    with (
        mock.patch.object(pytorch_fid.inception, "load_state_dict_from_url", return_value=None),
        mock.patch.object(torchvision.models.Inception3, "load_state_dict", lambda network, _: kept.append(network)),
    ):
        network = pytorch_fid.inception.InceptionV3([3])
    state = {
        name: torch.from_numpy(inputs.inception_tensor(name, tuple(tensor.shape)))
        for name, tensor in kept[0].state_dict().items()
        if tensor.ndim and not name.startswith("fc.")
    }
    kept[0].load_state_dict(state, strict=False)
    return network.eval(), {name: tuple(tensor.shape) for name, tensor in state.items()}


def of_images(network):
    """Features of pytorch-fid, and of the same network behind the resizers of torch-fidelity and clean-fid."""
    import torch
    from cleanfid.resize import build_resizer
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    answers = {}
    for name, image in inputs.images().items():
        pixels = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))
        bilinear = interpolate_bilinear_2d_like_tensorflow1x(pixels, size=(299, 299), align_corners=False)
        clean = torch.from_numpy(build_resizer("clean")(image).transpose(2, 0, 1)[None])
        with torch.no_grad():
            found = {"pytorch": network(pixels / 255)[0]}
            network.resize_input = network.normalize_input = False
            found |= {"tensorflow": network((bilinear - 128) / 128)[0], "clean": network((clean - 128) / 128)[0]}
            network.resize_input = network.normalize_input = True
        rows = {resizer: values.numpy().ravel()[inputs.COMPARED] for resizer, values in found.items()}
        answers[name] = {resizer: [round(float(value), 6) for value in row] for resizer, row in rows.items()}
        answers[name]["clean pixels"] = [round(float(value), 3) for value in clean[0, :, 150, ::20].numpy().ravel()]
    return answers


def main():
    import torch
    from torch_fidelity.metric_isc import isc_features_to_metric

    network, shapes = build_inception()
    score = isc_features_to_metric(torch.from_numpy(inputs.logits()), splits=10, shuffle=False)
    answers = {
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "features": {name: of_features(*pair) for name, pair in inputs.feature_sets().items()},
        "inception_score": score["inception_score_mean"],
        "inception": of_images(network),
        "tensors": shapes,
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(answer)}" for name, answer in answers.items())
    (HERE / "answers.json").write_text(f"{{\n{lines}\n}}\n")
    tensors = {
        "kernel": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4).permute(2, 0, 1),
        "part": torch.arange(10, dtype=torch.float32)[3:7],
        "count": torch.tensor(5),
    }
    torch.save(tensors, HERE / "tensors.pth")
    torch.save(tensors, HERE / "tensors_legacy.pth", _use_new_zipfile_serialization=False)
    # A program in place of tensors. It must not run.
    torch.save({"kernel": pathlib.PurePosixPath("program")}, HERE / "program.pth")


if __name__ == "__main__":
    main()
