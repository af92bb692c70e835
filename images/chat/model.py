"""A decoder-only transformer in numpy: byte tokens, rotary positions, several heads, greedy answers.

Each request is computed alone and on one thread, so that its answer does not depend on what else is asked.
"""

import numpy as np
import weights

SIZE, HEADS, LAYERS, WIDE = 64, 4, 2, 256
CONTEXT = 1024  # tokens of a prompt and its answer
BEGIN, END, SYSTEM, USER, ASSISTANT, TOOL = range(256, 262)
VOCABULARY = 262
ROLES = {"system": SYSTEM, "developer": SYSTEM, "user": USER, "assistant": ASSISTANT, "tool": TOOL}
SPOKEN = np.array([*range(32, 127), END])  # what an answer may consist of: printable ASCII, and its end


def shapes():
    layer = {
        "mix": (SIZE, 3 * SIZE),
        "out": (SIZE, SIZE),
        "wide": (SIZE, WIDE),
        "narrow": (WIDE, SIZE),
    }
    return {
        "tokens": (VOCABULARY, SIZE),
        **{f"{n}.{name}": shape for n in range(LAYERS) for name, shape in layer.items()},
        "answer": (SIZE, VOCABULARY),
    }


class Model:
    """256 + 6 tokens, 2 layers, 4 heads, 64 numbers a token."""

    def __init__(self):
        self.w = weights.make(shapes())
        half = SIZE // HEADS // 2
        angles = np.arange(CONTEXT)[:, None] / 10000.0 ** (np.arange(half) / half)
        self.cos, self.sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def encode(self, text):
        return list(text.encode())

    def prompt(self, messages):
        """The tokens of a conversation, ending where the answer begins. messages: (role, text) pairs."""
        tokens = [BEGIN]
        for role, text in messages:
            tokens += [ROLES[role], *self.encode(text), END]
        return [*tokens, ASSISTANT]

    def complete(self, tokens, most):
        """(text, its tokens, whether it ended by itself): the likeliest next token, again and again."""
        kept = [None] * LAYERS
        state, said = self.run(tokens, kept)[-1], []
        while len(said) < most:
            scores = normalized(state) @ self.w["answer"]
            token = int(SPOKEN[int(np.argmax(scores[SPOKEN]))])
            if token == END:
                return bytes(said).decode(), len(said), True
            said.append(token)
            if len(said) < most:
                state = self.run([token], kept)[-1]
        return bytes(said).decode(), len(said), False

    def embed(self, tokens):
        """A vector of length 1, rounded to six digits: the mean over the tokens."""
        mean = normalized(self.run([BEGIN, *tokens], [None] * LAYERS)).mean(axis=0, dtype=np.float64)
        return np.round(mean / np.linalg.norm(mean), 6) + 0.0

    def run(self, tokens, kept):
        """The last layer's state of each token. kept: keys and values of earlier tokens; theirs are added."""
        x = self.w["tokens"][tokens] * np.float32(np.sqrt(SIZE))
        for n in range(LAYERS):
            mixed = self.attend(normalized(x) @ self.w[f"{n}.mix"], kept, n)
            x = x + mixed @ self.w[f"{n}.out"]
            wide = normalized(x) @ self.w[f"{n}.wide"]
            x = x + (wide / (1 + np.exp(-wide))) @ self.w[f"{n}.narrow"]
        return x

    def attend(self, mixed, kept, n):
        """Causal attention. mixed: (tokens, 3 * SIZE): queries, keys, values."""
        count = len(mixed)
        query, key, value = mixed.reshape(count, 3, HEADS, -1).transpose(1, 2, 0, 3)
        before = 0 if kept[n] is None else kept[n][0].shape[1]
        query, key = self.turned(query, before), self.turned(key, before)
        if kept[n] is not None:
            key, value = np.concatenate([kept[n][0], key], 1), np.concatenate([kept[n][1], value], 1)
        kept[n] = (key, value)
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1]))
        if count > 1:
            later = np.arange(before + count)[None, :] > before + np.arange(count)[:, None]
            scores = np.where(later, np.float32(-1e9), scores)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        return (scores @ value).transpose(1, 0, 2).reshape(count, -1)

    def turned(self, x, before):
        """Rotary positions: Su et al., 2021."""
        cos, sin = self.cos[before : before + x.shape[1]], self.sin[before : before + x.shape[1]]
        left, right = np.split(x, 2, axis=-1)
        return np.concatenate([left * cos - right * sin, left * sin + right * cos], axis=-1)


def normalized(x):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(1e-6))
