"""Opens a local web page to explore a generator: python -m dcgan_tf explore --run_dir=runs/000-mnist"""

import os
import pathlib
import shlex
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.cli.actions.project import draw_projection, load_picture_to_project
from dcgan_tf.distributed import proxy
from dcgan_tf.drawing.grids import make_grid, save_png, to_rgb
from dcgan_tf.errors import UserError
from dcgan_tf.generation.source import Source

if TYPE_CHECKING:
    from dcgan_tf.generation.generator import Generator

HOST = "127.0.0.1"
NUM = 25
COLUMNS = 5
SLIDERS = 6
EXTENT = 4
SOURCE_FLAGS = ("run_dir", "checkpoint", "saved_model", "vectors")
WALK_STEPS = 9
PROJECTION_STEPS = 150
LIKE = 0.6  # Cosine of the angle to an attribute's direction
# Seeds stand below their images, not on them, and all five columns fit on a phone.
STYLE = """
#grid .grid-wrap { max-height: none; height: auto; overflow: visible; padding: 4px; }
#grid .grid-container { grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 4px;
    grid-auto-rows: auto; align-content: start; }
#grid .thumbnail-item { width: 100%; height: auto; aspect-ratio: auto; overflow: visible; }
#grid .thumbnail-item img { width: 100%; height: auto; }
#grid .caption-label { position: static; max-width: none; padding: 0; border: none; background: none; box-shadow: none;
    text-align: center; font-size: 12px; line-height: 18px; opacity: .7; }
#heading h2 { margin: 0; } #heading p { margin: 0; opacity: .7; }
"""


class Page:
    """The contents of the page without its layout. Each picture comes with the command that makes it.

    Args:
        generator: A generator of images.
        source_flags: Flags that name the generator in the commands, such as ``--run_dir=runs/000-mnist``.
        folder: Where the pictures to download are written.
        named: Directions that were fitted to an attribute, by name: float32 [latent_dim] of length 1.

    Attributes:
        sliders: Name of the direction of each slider: first the attributes, then the numbers of the leading directions.
        titles: Labels of the sliders. Those of leading directions name an attribute that is much like the direction.
    """

    def __init__(
        self,
        generator: "Generator",
        source_flags: list[str],
        folder: pathlib.Path,
        named: dict[str, np.ndarray] | None = None,
    ) -> None:
        self._generator = generator
        self._source_flags = source_flags
        self._folder = folder
        leading = generator.principal_directions.vectors[:SLIDERS]
        named = named or {}
        numbered = {str(number): vector for number, vector in enumerate(leading, start=1)}
        self.sliders = tuple(named) + tuple(numbered)
        self.titles = tuple(name.replace("_", " ") for name in named) + tuple(
            f"Direction {number}{_resembling(vector, named)}" for number, vector in numbered.items()
        )
        self._directions = np.array([*named.values(), *numbered.values()], np.float32)

    def grid(
        self, seed: float, psi: float, class_name: str | None, *amounts: float
    ) -> tuple[list[tuple[np.ndarray, str]], str, str]:
        """The images of 25 seeds, moved along the directions of the sliders.

        Args:
            seed: Seed of the first image.
            psi: Scale of the latents.
            class_name: Class of the images, for a conditional run.
            amounts: How far each slider moves, in standard deviations of a latent.

        Returns:
            The uint8 images, enlarged for the page, each with its seed; the PNG file of the grid; and the command.
        """
        seed = _whole(seed)
        generator = self._generator
        label = self._label(class_name)
        z = generator.latents(range(seed, seed + NUM), psi) + self._shift(amounts)
        images = generator.decode(z, generator.repeat_label(label, NUM))
        path = self._folder / f"grid-{seed}.png"
        save_png(make_grid(images, COLUMNS), path)
        words = [f"--num={NUM}", f"--seed={seed}"]
        command = self._command("images", words, psi, class_name, amounts)
        tiles = [(_enlarge(image), str(number)) for number, image in enumerate(images, start=seed)]
        return tiles, str(path), command

    def walk(
        self, first: int, last: int, psi: float, class_name: str | None, *amounts: float
    ) -> tuple[np.ndarray, str, str]:
        """The transition from one seed's image to another's: the picture, its PNG file, and the command."""
        from dcgan_tf.generation.paths import path_rows

        images = self._generator.interpolate(
            [first, last], WALK_STEPS, psi=psi, shift=self._shift(amounts), label=self._label(class_name)
        )
        picture = make_grid(path_rows(images, WALK_STEPS), WALK_STEPS + 1)
        path = self._folder / f"walk-{first}-{last}.png"
        save_png(picture, path)
        words = [f"--seeds={first},{last}", f"--steps={WALK_STEPS}"]
        command = self._command("interpolate", words, psi, class_name, amounts)
        return to_rgb(picture), str(path), command

    def projection(self, file: str, class_name: str | None) -> tuple[np.ndarray, str, str, str]:
        """The generated image nearest to an uploaded picture.

        Args:
            file: Path of the picture, which is cropped, resized and converted like the training images.
            class_name: Class of the image, for a conditional run.

        Returns:
            Picture, projection and difference side by side; their PNG file; a sentence; and the command.

        Raises:
            UserError: The file is not a usable picture.
        """
        generator = self._generator
        picture = pathlib.Path(file)
        # The default of --feature_weight; 0 if the discriminator has no features of single images.
        weight = 0.1 if generator.discriminator is not None and generator.config.pack == 1 else 0.0
        image, cut = load_picture_to_project(picture, generator.config, resize=True)
        found = generator.project(image, steps=PROJECTION_STEPS, feature_weight=weight, label=self._label(class_name))
        panels = draw_projection(image, found.image)
        path = self._folder / "projection.png"
        save_png(panels, path)
        text = f"The pixels differ by {found.median_pixel_error:g} of 255 gray levels (median). {cut}".rstrip()
        words = [f"--image={picture.name}", "--resize", f"--steps={PROJECTION_STEPS}"]
        words += [f"--feature_weight={weight:g}"] * (weight == 0)
        return panels, str(path), text, self._command("project", words, 1, class_name, ())

    def heading(self, name: str) -> str:
        """The generator's name, step and data, as Markdown."""
        config = self._generator.config
        size = "x".join(map(str, config.sample_shape))
        return (
            f"## {name}\nStep {self._generator.step:,} · {config.dataset}, {size} · latent length {config.latent_dim}"
        )

    def _shift(self, amounts: tuple[float, ...]) -> np.ndarray:
        return np.array(amounts, np.float32) @ self._directions[: len(amounts)]

    def _label(self, class_name: str | None) -> int | None:
        return self._generator.class_names.index(class_name) if class_name else None

    def _command(
        self, action: str, words: list[str], psi: float, class_name: str | None, amounts: tuple[float, ...]
    ) -> str:
        words = ["python", "-m", "dcgan_tf", "sample", action, *self._source_flags, *words]
        moved = [f"{name}:{amount:g}" for name, amount in zip(self.sliders, amounts, strict=False) if amount]
        words += [f"--psi={psi:g}"] * (psi != 1) + [f"--shift={','.join(moved)}"] * bool(moved)
        return shlex.join(words + [f"--label={class_name}"] * bool(class_name))


def build_page(page: Page, name: str, class_names: tuple[str, ...]) -> Any:
    """Builds the Gradio page of a `Page`, with class buttons if there are classes. ``name`` is the name of the run."""
    import gradio as gr

    with gr.Blocks(title=f"{name} - dcgan_tf", analytics_enabled=False) as blocks:
        clicked = gr.State([])
        gr.Markdown(page.heading(name), elem_id="heading")
        # The images come first, so that a phone shows them above the sliders.
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                gallery = gr.Gallery(
                    show_label=False, columns=COLUMNS, format="png", allow_preview=False, object_fit="contain",
                    height="auto", elem_id="grid", buttons=[],
                )  # fmt: skip
                walk_status = gr.Markdown("Click two images to walk between them.", elem_id="walk-status")
                walk = gr.Image(label="Walk", format="png", show_label=False, elem_id="walk", buttons=[], visible=False)
            with gr.Column(scale=1, min_width=280):
                seed = gr.Number(0, label="First seed", precision=0, minimum=0, elem_id="seed")
                psi = gr.Slider(
                    0, 1.5, 1, step=0.05, label="psi", info="Lower values: more typical, less diverse images"
                )
                class_name = gr.Radio(
                    list(class_names), value=class_names[0] if class_names else None, label="Class", elem_id="class",
                    visible=bool(class_names),
                )  # fmt: skip
                amounts = [
                    gr.Slider(-EXTENT, EXTENT, 0, step=0.25, label=title, elem_id=f"direction-{name}")
                    for name, title in zip(page.sliders, page.titles, strict=True)
                ]
                upload = gr.UploadButton("Project your own picture", file_types=["image"], elem_id="upload")
                projection_status = gr.Markdown(elem_id="projection-status")
                projection = gr.Image(
                    format="png", show_label=False, elem_id="projection", buttons=[], visible=False
                )  # fmt: skip
        grid_command, grid_file = _outcome("grid", interactive=True)
        walk_command, walk_file = _outcome("walk")
        projection_command, projection_file = _outcome("projection")

        def select(
            event: gr.SelectData, clicked: list[int], seed: float, psi: float, class_name: str | None, *amounts: float
        ) -> tuple[Any, ...]:
            clicked = [*clicked, _whole(seed) + event.index][-2:] if len(clicked) < 2 else [_whole(seed) + event.index]
            if len(clicked) < 2:
                status = f"From seed {clicked[0]}: click another image."
                return clicked, status, gr.update(visible=False), "", gr.update(interactive=False)
            first, last = clicked
            picture, file, command = page.walk(first, last, psi, class_name, *amounts)
            status = f"From seed {first} to seed {last}."
            shown = gr.update(value=picture, visible=True)
            return clicked, status, shown, command, gr.update(value=file, interactive=True)

        def project(file: str, class_name: str | None) -> tuple[Any, ...]:
            try:
                picture, path, status, command = page.projection(file, class_name)
            except UserError as error:
                return str(error), gr.update(visible=False), "", gr.update(interactive=False)
            shown = gr.update(value=picture, visible=True)
            return status, shown, command, gr.update(value=path, interactive=True)

        # Gradio adds the events of its components at run time, so type checkers do not know them.
        settings: list[Any] = [seed, psi, class_name, *amounts]
        shown = [gallery, grid_file, grid_command]
        # By default, Gradio drops what happens while an earlier event is still being answered: the last position of a
        # slider, or the second of two quick clicks.
        gr.on(
            [blocks.load, *(each.change for each in settings)], page.grid, settings, shown,
            show_progress="hidden", trigger_mode="always_last",
        )  # fmt: skip
        gallery.select(
            select, [clicked, *settings], [clicked, walk_status, walk, walk_command, walk_file],
            show_progress="hidden", trigger_mode="multiple",
        )  # fmt: skip
        upload.upload(
            project, [upload, class_name], [projection_status, projection, projection_command, projection_file],
            show_progress_on=projection_status,
        )  # fmt: skip
    return blocks


def _outcome(name: str, interactive: bool = False) -> tuple[Any, Any]:
    """A text box with the command that makes a picture, and a button that downloads the picture."""
    import gradio as gr

    with gr.Row(equal_height=True):
        with gr.Column(scale=4, min_width=280):
            command = gr.Textbox(label=f"The {name} on the command line", elem_id=f"{name}-command", buttons=["copy"])
        with gr.Column(scale=1, min_width=120):
            file = gr.DownloadButton(f"Download {name}", elem_id=f"{name}-file", interactive=interactive)
    return command, file


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    flags.DEFINE_integer("port", 7860, "Port of the page, which only this machine can open (127.0.0.1).")


def run() -> None:
    if not 1024 <= FLAGS.port <= 65535:
        raise UserError(f"--port: expected from 1024 to 65535. Received: {FLAGS.port}")
    source = common.find_source()
    # Must be set before Gradio is imported, so that it sends no usage data.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    proxy.reach_directly([HOST])  # Gradio first requests its own page.
    try:
        import gradio as gr
    except ImportError:
        raise UserError("the page needs Gradio: pip install -r requirements/explore.txt") from None

    generator = common.load(source)
    named = named_directions(source, generator)
    source_flags = [f"--{name}={FLAGS[name].value}" for name in SOURCE_FLAGS if FLAGS[name].present]
    with tempfile.TemporaryDirectory(prefix="dcgan_tf-") as folder:
        print("Computing the leading directions of the latent space ...")
        page = Page(generator, source_flags, pathlib.Path(folder), named)
        blocks = build_page(page, source.directory.resolve().name, generator.class_names)
        # System fonts, because those of the themes are fetched from the network.
        theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
        try:
            blocks.launch(
                server_name=HOST, server_port=FLAGS.port, share=False, quiet=True, ssr_mode=False, theme=theme,
                footer_links=[], prevent_thread_lock=True, css=STYLE,
            )  # fmt: skip
        except OSError:
            raise UserError(f"--port: {FLAGS.port} is in use. Choose another port") from None
        print(f"Open http://{HOST}:{FLAGS.port} in a browser; Ctrl-C stops it.")
        blocks.block_thread()


def named_directions(source: Source, generator: "Generator") -> dict[str, np.ndarray]:
    """The saved directions that were fitted to attributes, float32 [latent_dim] by name."""
    try:
        vectors = common.open_vectors(source, generator).vectors
    except UserError as error:
        if FLAGS.vectors:
            raise
        print(f"No sliders for named directions: {command_line.in_flags(str(error))}")
        return {}
    return {name: vector.values for name, vector in vectors.items() if vector.is_direction}


def _resembling(direction: np.ndarray, named: dict[str, np.ndarray]) -> str:
    """The name of the attribute whose direction is much like this one, in parentheses; or empty."""
    likeness = {name: abs(float(direction @ vector)) for name, vector in named.items()}
    name = max(likeness, key=lambda each: likeness[each], default=None)
    return f" (like {name.replace('_', ' ')})" if name and likeness[name] >= LIKE else ""


def _whole(seed: float | None) -> int:
    """The seed in the page's number field, which is empty while the user types."""
    return min(max(0, int(seed or 0)), common.MAX_SEED - NUM)


def _enlarge(image: np.ndarray) -> np.ndarray:
    return to_rgb(make_grid(image[None]))
