"""Draw the pictures of docs/gallery.md from the bundled network and recordings: ``python -m tools.make_gallery``."""

from pathlib import Path

from matplotlib.figure import Figure

from evsim.auditing.conventions import conventions
from evsim.auditing.energy_model import find_model
from evsim.auditing.panel import energy_panel
from evsim.auditing.replay import describe_trace
from evsim.loading.zoo import DEFAULT_RECORDING, find_weights, zoo_folder
from evsim.plots import (
    plot_attention,
    plot_conventions,
    plot_energy,
    plot_events,
    plot_operations,
    plot_rates,
    raster_figure,
)
from evsim.plots.theme import LIGHT, drawn_with
from evsim.recordings.read import read_recording
from evsim.runs.run import run

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DPI = 130


def main() -> None:
    """Every picture, under its name."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    digit = str(zoo_folder() / DEFAULT_RECORDING)
    _, trace = run(find_weights("sdt-nmnist"), digit)
    audited = describe_trace(trace)
    gesture = read_recording(str(zoo_folder() / "gesture_clip_01.h5"))
    tallies = [convention.count(audited) for convention in conventions().values()]
    panel = energy_panel(audited, find_model("step_simple"))
    layers = ("input", "patch_embed.proj_lif3", "block.0.attn.q_lif", "block.0.attn.talking_heads_lif")
    save("raster", raster_figure(trace, layers, 7, dpi=DPI))
    save("rates", drawn(5, 3.2, lambda ax: plot_rates(ax, trace)))
    save("operations", drawn(6, 5.4, lambda ax: plot_operations(ax, trace.ledger)))
    save("conventions", drawn(6, 2.4, lambda ax: plot_conventions(ax, tallies)))
    save("energy", drawn(6, 1.7, lambda ax: plot_energy(ax, panel)))
    save("attention", drawn(3.2, 3.5, lambda ax: plot_attention(ax, trace, block=1)))
    save("events_space", drawn(3, 3, lambda ax: plot_events(ax, gesture)))
    save("events_time", drawn(5, 1.8, lambda ax: plot_events(ax, gesture, "time")))


def drawn(width: float, height: float, draw) -> Figure:
    """A figure of one picture."""
    with drawn_with(LIGHT):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        figure.draw_without_rendering()
    return figure


def save(name: str, figure: Figure) -> None:
    """Few colours are enough, and a third of the bytes."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    with drawn_with(LIGHT):
        figure.savefig(buffer, format="png", dpi=DPI)
    Image.open(buffer).convert("RGB").quantize(128).save(IMAGES / f"{name}.png", optimize=True)
    print(f"docs/images/{name}.png  {(IMAGES / f'{name}.png').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
