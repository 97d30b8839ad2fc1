"""The card of a bundled network as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["card_text", "energy_text"]

DATA = {
    "nmnist": "N-MNIST (Orchard, Jayawant, Cohen and Thakor 2015, CC BY-SA 4.0 to our knowledge: the copy used carries "
    "no licence file): 1,000 training recordings, 100 test recordings (`nmnist_test_100.h5`)",
    "mnist": "MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0 to our knowledge: the copy used carries no licence file): "
    "60,000 training images, 10,000 test images",
}
INPUT = {
    "nmnist": "event counts in {n_steps} slices by time, the centre 32x32 of 34x34",
    "mnist": "pixels divided by 255 (black is exactly zero, so silence costs nothing), padded from 28x28 to 32x32, "
    "shown {n_steps} times",
}
ORIGIN = {
    "spikformer_v2": "A reconstruction from the paper, for which no official code exists and whose third published "
    "number of parameters no design that fits the other two reaches (docs/claims.md); trained with `tools/train`.",
}
LESSON = {
    "nmnist": "A network this small, trained on a thousand recordings, says nothing about the accuracy of the "
    "architecture; a hundred test recordings do not tell networks apart whose intervals overlap.",
    "mnist": "A network this small, trained for so short a time, says nothing about the accuracy of the architecture.",
}


def card_text(name: str, header: dict, n_values: int) -> str:
    """The whole card from a weights file's header."""
    card = header["card"]
    origin = ORIGIN.get(
        header["family"], "Parameter names and shapes of the official code; trained with `tools/train`."
    )
    title = header["title"].split(" (")[0]
    opening = f"# {name}\n\n{title} on {DATA[card['dataset']].split(' (')[0]}. {origin}\n\n| | |\n|---|---|\n"
    rows = "".join(f"| {label} | {text} |\n" for label, text in _rows(header, n_values))
    return f"{opening}{rows}\n{LESSON[card['dataset']]}\n"


def _rows(header: dict, n_values: int) -> Iterator[tuple[str, str]]:
    card, sizes = header["card"], header["hyper_parameters"]
    known = ", ".join(f"{key} {value}" for key, value in sizes.items() if value not in ("", None))
    yield "network", f"{known}; {card['parameters']:,} parameters"
    yield "data", DATA[card["dataset"]]
    channels = "; their sum is a third channel" if "on_off_sum" in (header["input"]["fit"] or "") else ""
    yield "input", INPUT[card["dataset"]].format(n_steps=sizes["n_steps"]) + channels
    yield "training", _training(card["training"])
    n = card["test_set"]["n"]
    yield "accuracy, evsim", _share(card["accuracy"]["evsim"])
    yield "accuracy, PyTorch", _share(card["accuracy"]["pytorch"])
    yield "predictions", f"{card['predictions_differing']:,} of {n:,} differ between the two"
    yield "spikes", _agreement(card["verification"])
    yield "firing rates", _rates(card["firing_rates"])
    yield "operations", _operations(card["mean_counts"], n)
    yield "energy", energy_text(card["energy"])
    yield "file", _file(header, n_values)
    yield "licence", "weights MIT, as evsim"


def energy_text(energy: dict) -> str:
    """One line: the figure, and what it is made of."""
    return (
        f"{energy['nj'] / 1000:.3g} µJ a recording by the published pair (`{energy['model']}`), as `evsim audit` has "
        "it in its energy panel: 0.9 pJ an addition (synaptic, a payload of n as n; bias; residual), 4.6 pJ a MAC; no "
        "memory, no membrane updates. A price list times counts, not a measurement of a device"
    )


def _training(training: dict) -> str:
    words = [f"{training['epochs']} epochs", f"batches of {training['batch_size']}", "AdamW"]
    words += [f"cosine learning rate from {training['lr']:g}", f"label smoothing {training['smoothing']:g}"]
    words += [f"random shifts up to {training['shift']} pixels", f"seed {training['seed']}"]
    notes = [training["note"]] if training.get("note") else []
    return "; ".join([", ".join(words), *notes, training["selection"]])


def _share(share: dict) -> str:
    low, high = (f"{100 * bound:.2f}" for bound in share["interval"])
    fraction = 100 * share["correct"] / share["n"]
    return f"{fraction:.2f} % ({share['correct']:,} of {share['n']:,}; 95 % Wilson interval {low} to {high} %)"


def _agreement(found: dict) -> str:
    free, fed = found["free"], [found["exact"], found["local"]]
    compared, differing = (sum(level[key] for level in fed) for key in ("compared", "differing"))
    rate = 1e6 * free["differing"] / free["compared"]
    return (
        f"first {found['recordings']:,} test recordings: running free {free['differing']:,} of {free['compared']:,} "
        f"neuron-steps differ from PyTorch ({rate:.3g} per million); each population fed with PyTorch's spikes "
        f"{differing:,} of {compared:,}, {found['unexcused']:,} of them beyond rounding; largest difference of a logit "
        f"{found['logits_difference']:.2g}"
    )


def _rates(rates: dict) -> str:
    low, high = min(rates, key=rates.get), max(rates, key=rates.get)
    mean = sum(rates.values()) / len(rates)
    return (
        f"mean of the {len(rates)} populations {100 * mean:.1f} %, lowest {100 * rates[low]:.2f} % (`{low}`), highest "
        f"{100 * rates[high]:.1f} % (`{high}`); PyTorch, whole test set"
    )


def _operations(counts: dict, n: int) -> str:
    words = {
        "acs": "synaptic additions (a payload of n as n)",
        "macs": "MACs",
        "masks": "masks",
        "bias_adds": "bias additions",
    }
    words |= {"residual_adds": "residual additions", "updates": "membrane updates", "queue_ops": "queue operations"}
    listed = ", ".join(f"{counts[key]:,.0f} {word}" for key, word in words.items())
    return f"literal, mean of {n:,} recordings: {listed}"


def _file(header: dict, n_values: int) -> str:
    told = " ".join(f"--set {key}={value}" for key, value in header["input"].items() if value)
    source = header["source"]["file"]
    return f"{n_values:,} values, float32, as in the checkpoint `{source}`; made by `evsim import {source} {told}`"
