"""The comparison with `jax.grad`: the same models written twice, and the script that times them."""

import json

import jax
import numpy as np
import pytest

from backends import get_backend
from experiments.compare_jax_grad.__main__ import main
from experiments.compare_jax_grad.jobs import all_jobs

JAX = get_backend("jax")


@pytest.mark.parametrize("job", all_jobs().values(), ids=lambda job: job.name)
def test_both_models_of_a_job_have_the_same_loss(job):
    generator = np.random.default_rng(0)
    x, y = job.draw(generator, 2)
    params, _ = job.model.init(generator, x.shape[1:])
    numpy = get_backend("numpy")
    outputs, _ = job.model.forward(numpy, params, x)
    loss, _ = job.loss(numpy, outputs, y)

    def plain(params, x, y):
        outputs = job.forward(params, x)
        return outputs, job.plain_loss(outputs, y)

    with JAX.precision("float64"):
        plain_outputs, plain_loss = jax.jit(plain)(params, x, y)
        np.testing.assert_allclose(plain_outputs, outputs, rtol=1e-10, atol=1e-12)
        assert float(plain_loss) == pytest.approx(float(loss), rel=1e-12)


def test_the_script_tabulates_and_records(tmp_path, capsys):
    path = tmp_path / "r.json"
    options = ("--models", "lstm", "--steps", "2", "--repeats", "2", "--dtype", "float64")
    assert main([*options, "--json", str(path), "--out", str(tmp_path)]) == 0
    printed, progress = capsys.readouterr()
    assert "run 3/3" in progress
    lines = [line for line in printed.splitlines() if not line.startswith("picture:")]
    assert max(map(len, lines)) <= 80
    assert (tmp_path / "compare_jax_grad.png").stat().st_size > 10_000
    record = json.loads(path.read_text())
    assert (record["experiment"], record["backend"]) == ("compare_jax_grad", ["jax"])
    assert {"jax", "optax"} <= record["versions"].keys()
    (result,) = record["results"]
    assert result["agree"]
    assert result["loss_difference"] < 1e-12
    own, plain = result["ours"]["epochs"], result["jax_grad"]["epochs"]
    assert result["ratio"] == pytest.approx(np.median(np.divide(own, plain)))
    assert min(*own, *plain, result["ours"]["compile"], result["jax_grad"]["compile"]) > 0.0


def test_an_unknown_model_is_one_error(capsys):
    assert main(["--models", "gru"]) == 2
    assert "error: unknown model 'gru', expected one of convnet-digits," in capsys.readouterr().err
