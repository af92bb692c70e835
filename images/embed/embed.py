"""Sentence embeddings with all-MiniLM-L6-v2, in numpy alone.

An item {"text": "..."} is answered {"embedding": [384 numbers]}; an "id" of the item comes back with it. The embedding
has length 1, so the similarity of two texts is the dot product of their embeddings.

Each text is computed alone. In a batch, matrices have other shapes, and a matrix product then rounds otherwise: an
answer would depend on which items it happened to share a batch with, and two workers could not be compared.
"""

import json
import os
import sys
from pathlib import Path

from harness import serve  # before numpy: it sets the number of threads

MODEL = Path(os.environ.get("MODEL", "/model"))
TOKENS_MAX = 256  # what the model was trained with; the rest of a longer text is not read
DIGITS = 6


class MiniLM:
    """A BERT encoder with mean pooling. Loads in half a second."""

    def __init__(self, folder):
        import numpy
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self.np = numpy
        config = json.loads((folder / "config.json").read_text())
        self.heads = config["num_attention_heads"]
        self.epsilon = numpy.float32(config["layer_norm_eps"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS_MAX)
        weights = {name: value.astype(numpy.float32) for name, value in load_file(folder / "model.safetensors").items()}
        self.words = weights["embeddings.word_embeddings.weight"]
        # Every text is one segment, so the segment's embedding is the same for all tokens.
        self.places = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self.norm = self.pair(weights, "embeddings.LayerNorm")
        self.layers = [self.layer(weights, f"encoder.layer.{n}.") for n in range(config["num_hidden_layers"])]

    def pair(self, weights, name):
        return weights[name + ".weight"], weights[name + ".bias"]

    def linear(self, weights, *names):
        """One or several linear maps as one: (in, out) matrix, and bias."""
        np = self.np
        matrix = np.concatenate([weights[name + ".weight"] for name in names]).T
        return matrix, np.concatenate([weights[name + ".bias"] for name in names])

    def layer(self, weights, at):
        parts = [at + "attention.self." + part for part in ("query", "key", "value")]
        return (
            self.linear(weights, *parts),
            self.linear(weights, at + "attention.output.dense"),
            self.pair(weights, at + "attention.output.LayerNorm"),
            self.linear(weights, at + "intermediate.dense"),
            self.linear(weights, at + "output.dense"),
            self.pair(weights, at + "output.LayerNorm"),
        )

    def normalize(self, x, norm):
        x = x - x.mean(axis=-1, keepdims=True)
        variance = (x * x).mean(axis=-1, keepdims=True)
        return x / self.np.sqrt(variance + self.epsilon) * norm[0] + norm[1]

    def attend(self, x, mix):
        """Softmax attention. x: (tokens, size)."""
        np, tokens, heads = self.np, len(x), self.heads
        query, key, value = (x @ mix[0] + mix[1]).reshape(tokens, 3, heads, -1).transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1]))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        return (scores @ value).transpose(1, 0, 2).reshape(tokens, -1)

    def gelu(self, x):
        """x * P(normal < x). erf: Abramowitz and Stegun 7.1.26, off by at most 1.5e-7."""
        np = self.np
        z = np.abs(x) * np.float32(0.5**0.5)
        t = 1 / (1 + np.float32(0.3275911) * z)
        tail = np.float32(1.061405429)
        for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
            tail = tail * t + np.float32(factor)
        tail *= t * np.exp(-z * z)
        return np.float32(0.5) * x * (1 + np.copysign(1 - tail, x))

    def embed(self, text):
        np = self.np
        ids = self.tokenizer.encode(text).ids
        x = self.normalize(self.words[ids] + self.places[: len(ids)], self.norm)
        for mix, out, norm, wide, narrow, last in self.layers:
            x = self.normalize(x + self.attend(x, mix) @ out[0] + out[1], norm)
            x = self.normalize(x + self.gelu(x @ wide[0] + wide[1]) @ narrow[0] + narrow[1], last)
        mean = x.mean(axis=0, dtype=np.float64)
        return (np.round(mean / np.linalg.norm(mean), DIGITS) + 0.0).tolist()  # + 0.0: there is no -0.0


model = None


def load():
    global model
    model = MiniLM(MODEL)
    model.embed("The first text makes numpy set up what all later ones need.")
    sys.stderr.write(f"embed: loaded {MODEL}\n")


def answer(items):
    return [one(item) for item in items]


def one(item):
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        raise ValueError('an item must be an object with a "text"')
    embedding = {"embedding": model.embed(item["text"])}
    return {"id": item["id"], **embedding} if "id" in item else embedding


if __name__ == "__main__":
    serve(answer, batch=16, load=load)
