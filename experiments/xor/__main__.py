"""Learn XOR, or see why it was not learned: ``python -m experiments.xor --help``."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from experiments.shared.command_line import add_backend, add_count, make_parser, run_script
from experiments.shared.records import make_record, write_json
from experiments.shared.tables import format_table, paragraph
from experiments.xor.diagnosis import count, explain, gradient_norm, listed
from experiments.xor.pictures import draw_run, draw_study
from experiments.xor.recipes import MARGIN, RECIPES, TARGETS, Recipe, Run, input_name
from experiments.xor.study import format_study, run_study
from multinn import Trainer

_SEEDS = 2**32  # numpy.random.seed takes seeds below this


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit status."""
    parser = make_parser(
        "xor",
        "Train a small network on XOR, all four rows at every step.",
        seed_default="that of the recipe; 0 for --study",
    )
    add_backend(parser)
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        default="robust",
        help="notebook (seed 42) and classroom (seed 0) repeat two published runs exactly, which do not "
        "learn XOR; robust (seed 0) learns it from any seed",
    )
    add_count(parser, "--epochs", None, "training steps (default: those of the recipe)")
    add_count(
        parser,
        "--study",
        None,
        "train from this many seeds, starting with --seed, and count those that learn XOR "
        "(default: train once)",
    )
    return run_script(lambda options: _run(options, parser), parser, arguments)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    last_seed = (options.seed or 0) + (options.study or 1) - 1
    if last_seed >= _SEEDS:
        parser.error(f"argument --seed: expected seeds below {_SEEDS}, got {last_seed}")
    recipe = RECIPES[options.recipe]
    if options.epochs is not None:
        recipe = replace(recipe, epochs=options.epochs)
    trainer = recipe.new_trainer(options.backend)
    return _study(recipe, trainer, options) if options.study else _single(recipe, trainer, options)


def _single(recipe: Recipe, trainer: Trainer, options: argparse.Namespace) -> int:
    seed = recipe.default_seed if options.seed is None else options.seed
    _print_heading(recipe, trainer, f"seed {seed}")
    recipe.start(trainer, seed)
    history, run = _train(recipe, trainer)
    print(f"Final {recipe.loss_name}: {_loss_text(run.final_loss, trainer)}\n")
    print(_format_predictions(run))
    results = {
        "learned": run.learned,
        "predictions": run.predictions,
        "final_loss": run.final_loss,
        "loss": recipe.loss_name,
        "gradient_norm": gradient_norm(recipe, run.params),
    }
    record = make_record("xor", options, trainer, history, results)
    _print_verdict(recipe, run, trainer)
    _print_seconds(trainer)
    if options.json:
        write_json(options.json, record)
    if options.out:
        draw_run(recipe, run, trainer, seed, options.out)
    return 0


def _study(recipe: Recipe, trainer: Trainer, options: argparse.Namespace) -> int:
    first = options.seed or 0
    seeds = range(first, first + options.study)
    _print_heading(recipe, trainer, f"seeds {seeds[0]} to {seeds[-1]}")
    study = run_study(recipe, trainer, seeds)
    print(f"XOR was learned from {sum(study.learned):,} of {count(len(seeds), 'seed')}.")
    print(f"(Learned: all four predictions are within {MARGIN} of their targets.)\n")
    print(f"Final {recipe.loss_name} over the seeds\n\n{format_study(study)}")
    _print_seconds(trainer)
    if options.json:
        record = make_record("xor", options, trainer, study.history(), study.results())
        write_json(options.json, record | {"seed": first})
    if options.out:
        draw_study(study, options.out)
    return 0


def _train(recipe: Recipe, trainer: Trainer) -> tuple[list[dict[str, float]], Run]:
    """Train, and print the loss about ten times; return the printed losses, and the run."""
    every = max(1, recipe.epochs // 10)
    losses: list[float] = []
    for epoch in range(0, recipe.epochs, every):
        losses += recipe.fit(trainer, min(every, recipe.epochs - epoch))
        print(f"Epoch {epoch}, Loss: {_loss_text(losses[epoch], trainer)}", flush=True)
    history = [{"epoch": epoch, "loss": losses[epoch]} for epoch in range(0, recipe.epochs, every)]
    return history, recipe.finish(trainer, losses)


def _print_heading(recipe: Recipe, trainer: Trainer, seeds: str) -> None:
    backend = trainer.backend
    print(f"XOR by the recipe {recipe.name}: {recipe.summary}")
    print(f"{count(recipe.epochs, 'step')} on all four rows, {trainer.dtype}, {seeds}")
    print(f"backend {backend.name} {backend.version}, device {backend.device}\n")


def _format_predictions(run: Run) -> str:
    rows = [
        [input_name(index), f"{target:.0f}", f"{prediction:.4f}", "yes" if right else "no"]
        for index, (target, prediction, right) in enumerate(
            zip(TARGETS[:, 0], run.predictions, run.right, strict=True)
        )
    ]
    return format_table(["input", "target", "prediction", f"within {MARGIN}"], rows)


def _print_verdict(recipe: Recipe, run: Run, trainer: Trainer) -> None:
    if run.learned:
        print("\nXOR was learned: every prediction is nearer to its target than to 0.5.")
        return
    wrong = listed([input_name(index) for index, right in enumerate(run.right) if not right])
    verdict = f"XOR was NOT learned: the prediction is nearer to 0.5 than to the target for {wrong}."
    print(f"\n{paragraph(f'{verdict} Why:')}")
    for reason in explain(recipe, run, trainer):
        print(paragraph(reason, "- ", "  "))


def _print_seconds(trainer: Trainer) -> None:
    seconds = trainer.seconds
    print(f"\nSeconds: compile {seconds.compile:.3f}, train {seconds.train:.3f}")


def _loss_text(loss: float, trainer: Trainer) -> str:
    """Return the loss with all significant digits of its dtype."""
    return str(loss) if trainer.dtype == "float64" else f"{loss:.7g}"


if __name__ == "__main__":
    sys.exit(main())
