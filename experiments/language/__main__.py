"""A language model: a causal transformer that learns to predict the next character of a text.

It is compared with n-gram models on the last tenth of the text, which no model is trained on, and writes
samples during training. The number of epochs is fixed: the held-out loss is only reported.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from backends import HostArray
from experiments.language.model import make_trainer, parameter_count, write_on
from experiments.language.ngram import count_ngrams
from experiments.language.options import language_parser
from experiments.language.picture import draw_losses
from experiments.language.report import Run, print_comparison, print_losses, print_sample, run_record
from experiments.language.text import ALICE, Text, held_out_windows, read_text, training_windows
from experiments.shared.command_line import load_backends, run_script
from experiments.shared.errors import UsageError
from experiments.shared.interrupted import raise_if_interrupted
from experiments.shared.records import make_comparison_record, write_json
from multinn import Trainer

BASELINES: Final = {"trigram": 3, "4-gram": 4}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    return run_script(run, language_parser(), arguments)


def run(options: argparse.Namespace) -> int:
    """Train on each backend, and report."""
    text = read_text(options.text or ALICE, options.context)
    prompt = text.encode(options.prompt or text.characters[0])
    backends = load_backends(options, all_by_default=False)
    try:
        trainers = {name: make_trainer(options, text, backend) for name, backend in backends.items()}
        baselines = {name: _ngram_loss(text, order) for name, order in BASELINES.items()}
    except ValueError as error:
        raise UsageError(str(error)) from error
    _print_task(options, text, next(iter(trainers.values())))
    runs = [_train(name, trainer, text, prompt, options) for name, trainer in trainers.items()]
    print_losses(runs, baselines)
    if len(runs) > 1:
        print_comparison(runs)
    if options.out:
        draw_losses(runs, baselines, text.name, options.out)
    if options.json:
        results = {
            "baselines": baselines,
            "text": text.name,
            "characters": len(text.characters),
            "training_characters": text.start,
            "held_out_characters": text.held_out,
            "parameters": parameter_count(next(iter(trainers.values()))),
            "runs": {run.name: run_record(run) for run in runs},
        }
        seconds = {
            "compile": sum(run.seconds.compile for run in runs),
            "train": sum(run.seconds.train for run in runs),
        }
        record = make_comparison_record("language", options, backends, options.dtype, results, seconds)
        write_json(options.json, record)
    return 0


def _train(
    name: str, trainer: Trainer, text: Text, prompt: HostArray, options: argparse.Namespace
) -> Run:
    """Train on one backend, and print the losses and a sample at each report."""
    x, y = training_windows(text, options.context, options.batch_size)
    held_out = held_out_windows(text, options.context)
    run = Run(name, trainer.seconds)

    def sample() -> None:
        ids = write_on(
            trainer,
            prompt,
            options.sample_length,
            context=options.context,
            temperature=options.temperature,
            seed=options.seed,
        )
        run.samples.append(text.decode(ids))
        print_sample(run.samples[-1])

    print(f"\n{name} on {trainer.backend.device}, {trainer.dtype}\n\nbefore training", flush=True)
    sample()
    while trainer.epoch < options.epochs:
        history = raise_if_interrupted(
            trainer.fit(
                x,
                y,
                epochs=min(options.report_every, options.epochs - trainer.epoch),
                batch_size=options.batch_size,
                report_every=options.report_every,
            )
        )
        # NumPy keeps the results of a whole batch in memory: use batches as small as in training.
        held_out_loss = trainer.evaluate(*held_out, batch_size=options.batch_size)["loss"]
        run.history.append(history[-1] | {"validation_loss": held_out_loss})
        print(
            f"\nepoch {trainer.epoch}: training loss {run.history[-1]['loss']:.4f}, "
            f"held-out loss {run.history[-1]['validation_loss']:.4f}",
            flush=True,
        )
        sample()
    run.steps = trainer.step
    return run


def _ngram_loss(text: Text, order: int) -> float:
    """Return the loss of an n-gram model of the training text on the held-out text, in nats."""
    return count_ngrams(text.training_ids, order, len(text.characters)).loss(text.ids, text.start)


def _print_task(options: argparse.Namespace, text: Text, trainer: Trainer) -> None:
    x, _ = training_windows(text, options.context, options.batch_size)
    print(f"text       {text.name}: {len(text.ids):,} characters, {len(text.characters)} different")
    print(f"split      {text.start:,} to train, the last {text.held_out:,} held out")
    print(
        f"model      transformer, blocks {options.blocks}, heads {options.heads}, "
        f"width {options.width}, context {options.context}"
    )
    print(
        f"           {parameter_count(trainer):,} parameters, dropout {options.dropout:g}, "
        f"seed {options.seed}"
    )
    print(
        f"optimizer  AdamW, learning rate {options.learning_rate:g} (warm-up, cosine), weight decay "
        f"{options.weight_decay:g}"
    )
    print(
        f"training   epochs {options.epochs}, {len(x) // options.batch_size:,} steps each, batch size "
        f"{options.batch_size}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
