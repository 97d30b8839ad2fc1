"""The section on masked pre-training in docs/ablations.md."""

from __future__ import annotations

import statistics

from tools.train.ablation_text import RECONSTRUCTION, interval

__all__ = ["mim_section"]


ARMS = {
    "scratch": "from scratch",
    "finetuned": "pre-trained",
    "longer": "from scratch, more epochs",
    "finetuned_longer": "pre-trained, more epochs",
}
LEFT_OPEN = (
    '* The pre-training has cost time of its own and has seen images that nobody labelled. "More epochs" is as many',
    "  images seen as the pre-training and the fewer epochs together; an image of the pre-training passes the encoder",
    "  for its visible half only, and a decoder besides, so it is not the same work.",
    "* A difference that is there after few epochs and gone after more is a faster start, not a better network.",
    "* Learning rate and schedule are the same for all, tuned for none; 200 labels and these sizes only.\n",
)


def mim_section(report: dict) -> str:
    """Accuracy with and without pre-training, seed by seed, and what the comparison leaves open."""
    settings, results = report["settings"], [result for result in report["results"] if set(ARMS) <= set(result)]
    arms = {arm: [100 * result[arm]["accuracy"] for result in results] for arm in ARMS}
    first, last = (statistics.mean(result["pretrain_losses"][i] for result in results) for i in (0, -1))
    more = settings["epochs"] + round(settings["pretrain_epochs"] * settings["n_unlabelled"] / settings["n_labelled"])
    epochs = {arm: more if arm.endswith("longer") else settings["epochs"] for arm in ARMS}
    lines = [
        "## Masked pre-training against training from scratch (Spikformer V2, a reconstruction)\n",
        RECONSTRUCTION,
        f"MNIST doubled to 64x64 (16 tokens, half of them hidden), {len(results)} seeds. Pre-training: "
        f"{settings['pretrain_epochs']} epochs over {settings['n_unlabelled']:,}",
        f"images without labels; its loss falls from {first:.3f} to {last:.3f} (means over the first and the last "
        f"epoch). Then training on",
        f"{settings['n_labelled']} labelled images. Accuracy on {settings['n_test']:,} test images, by PyTorch.\n",
        "| arm | epochs | accuracy, % | by seed |",
        "|---|---|---|---|",
    ]
    for arm, values in arms.items():
        seeds = ", ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {ARMS[arm]} | {epochs[arm]} | {interval(values)} | {seeds} |")
    for tuned, other in (("finetuned", "scratch"), ("finetuned_longer", "longer"), ("finetuned", "longer")):
        gain = [a - b for a, b in zip(arms[tuned], arms[other], strict=True)]
        names = f"Pre-trained ({epochs[tuned]} epochs) less from scratch ({epochs[other]} epochs)"
        lines += ["", f"{names}, paired by seed: {interval(gain)} points."]
    return "\n".join([*lines, "", *LEFT_OPEN])
