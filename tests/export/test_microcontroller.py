"""The example that writes a network as a C header, by emlearn and a C compiler."""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "microcontroller.py"


@pytest.mark.skipif(find_spec("emlearn") is None, reason="could not find emlearn")
@pytest.mark.skipif(shutil.which("cc") is None, reason="emlearn compiles what it writes")
def test_the_example(tmp_path):
    """What doc/export.rst says of size and error; in a process, because emlearn tunes NumPy."""
    ran = subprocess.run(
        [sys.executable, str(EXAMPLE), "digits.h"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    trained, pruned = (int(count) for count in re.findall(r"(\d+) neurons", ran.stdout))
    assert pruned <= 25
    assert pruned < 0.6 * trained
    scores = [float(score) for score in re.findall(r"accuracy ([\d.]+)", ran.stdout)]
    assert min(scores) > 0.96
    assert int(re.search(r"(\d+) bytes", ran.stdout)[1]) == 4 * (pruned * 65 + 10 * (pruned + 1))
    assert " 0 % other labels" in ran.stdout
    assert float(re.search(r"within (\S+)", ran.stdout)[1]) < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["digits.h"]
    header = (tmp_path / "digits.h").read_text()
    assert f"network_layer_0_weights[{64 * pruned}]" in header
