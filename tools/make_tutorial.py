"""Write docs/tutorial.ipynb and execute it; ``--check`` executes the one that is there and keeps it as it is.

python -m tools.make_tutorial [--check]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PATH = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"

CELLS = (
    """# From a checkpoint to a table and a raster

This notebook takes a training checkpoint of a Spike-driven Transformer, as the official script saves it, to the numbers
and pictures of a paper. No PyTorch and no GPU are needed. Replace the two paths by your own and run it again.""",
    """import evsim

folder = "../tests/data/"
checkpoint = folder + "sdt_cifar10dvs_erode_tet.model_best.pth.tar"
recording = folder + "sdt_cifar10dvs_erode_tet.npz"
net = evsim.load(checkpoint)
net""",
    """The checkpoint was read without executing its pickle. What its tensors do not tell was taken from the arguments
stored beside them; where nothing tells, `load` asks by name: `evsim.load(path, n_steps=16)`.

Is it the model it came from? A *reference* holds an input, and every spike that the official code produced on it.""",
    """check = evsim.verify(net, recording)
print(f"fed with the reference's spikes: {check.local.differing + check.exact.differing} of "
      f"{check.local.compared + check.exact.compared:,} differ")
print(f"running by itself: {check.free.differing} of {check.free.compared:,} differ")""",
    """Now run it. Anything that holds events, frames or an image will do: a path, an array [T, C, H, W], a tensor.""",
    """import numpy as np

frames = np.load(recording)["input"][0]
run = net.run(frames)
print(run, run.logits)""",
    """Every operation was counted where it happened, by layer, by step and by attention head:""",
    """run.counts.to_pandas()[["layer", "events_in", "acs", "masks", "updates"]].head(8)""",
    """run.counts.to_pandas("head").query("layer == 'block.0.attn.kv'")""",
    """The spikes of any layer, in the axes of the model's own tensors, and as a picture:""",
    """gate = run.spikes["block.0.attn.talking_heads_lif"]
print(gate, gate.dense().shape)""",
    """import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
run.plot.raster("block.0.attn.q_lif", ax=axes[0])
run.plot.rates(ax=axes[1]);""",
    """A trained network comes with evsim. Its audit on ten recordings, beside the published ways to count:""",
    """trained = evsim.load("sdt-nmnist")
report = evsim.audit(trained, [f"nmnist_digit_{digit}.h5" for digit in range(10)])
report.to_pandas("conventions")""",
    """print(report.to_latex("conventions"))""",
    """Where is the network not spike-driven?""",
    """evsim.lint(trained).to_pandas("places")[["layer", "kind", "operations", "share"]]""",
)
"""Text where it is prose (it begins with a capital letter or a heading), code otherwise."""


def main() -> None:
    """Write and execute, or execute only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    notebook = nbformat.read(PATH, as_version=4) if check else _written()
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(PATH.parent)}})
    client.execute()
    if not check:
        for cell in notebook.cells:
            cell.metadata.clear()
        nbformat.write(notebook, PATH)
    print(f"executed {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells of {PATH.name}")


def _written():
    notebook = nbformat.v4.new_notebook()
    for number, text in enumerate(CELLS):
        is_prose = text[0] == "#" or text[0].isupper()
        make = nbformat.v4.new_markdown_cell if is_prose else nbformat.v4.new_code_cell
        notebook.cells.append(make(text, id=f"cell-{number}"))
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


if __name__ == "__main__":
    main()
