"""The embedding model as Python would run it: the same graph and tokenizer, ONNX Runtime in single precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

MODEL = Path(".venv/share/docket/models/all-MiniLM-L6-v2")
WINDOW = 256


class Encoder:
    """Texts in, vectors of length one out."""

    def __init__(self, threads: int) -> None:
        runtime: Any = onnxruntime
        options: Any = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session: Any = runtime.InferenceSession(str(MODEL / "model.onnx"), options)
        self._tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(WINDOW)  # pyright: ignore[reportUnknownMemberType]

    def words(self) -> list[str]:
        """Words of the vocabulary that are one token each, in the order of the alphabet."""
        vocabulary = self._tokenizer.get_vocab()
        return sorted(word for word in vocabulary if len(word) > 3 and word.isascii() and word.isalpha())

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, marks included."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def embed(self, texts: Sequence[str], batch: int) -> Vectors:
        """One vector for each text; texts of like length share a batch."""
        ids = self.tokens(texts)
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        found: Vectors | None = None
        for start in range(0, len(order), batch):
            now = order[start : start + batch]
            vectors = self._run([ids[index] for index in now])
            if found is None:
                found = np.zeros((len(ids), vectors.shape[1]), dtype=np.float32)
            found[now] = vectors
        return found if found is not None else np.zeros((0, 0), dtype=np.float32)

    def _run(self, ids: list[list[int]]) -> Vectors:
        longest = max(len(tokens) for tokens in ids)
        padded = np.zeros((len(ids), longest), dtype=np.int32)
        mask = np.zeros((len(ids), longest), dtype=np.int32)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        vectors: Vectors = self._session.run(["token_vectors"], {"input_ids": padded, "attention_mask": mask})[0]
        sums: Vectors = (vectors * mask[:, :, None]).sum(axis=1)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)
