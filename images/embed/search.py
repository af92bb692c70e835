"""Answers searches with embeddings that fallow made. Standard library only.

    python3 search.py TEXTS TEXTS_OUTPUT QUERIES QUERIES_OUTPUT

TEXTS and QUERIES: JSON lines with "id" and "text". The outputs: the embeddings of their lines, in the same order.
"""

import json
import sys
from itertools import islice
from operator import mul
from pathlib import Path

BEST = 3
TEXT_MAX = 72  # characters


def read(path: str) -> list[dict]:
    with Path(path).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def similarity(one: list[float], other: list[float]) -> float:
    """The cosine: embeddings have length 1. From -1 to 1; above 0.5 for texts that say nearly the same."""
    return sum(map(mul, one, other))


def best(query: dict, texts: list[dict], answers: list[dict]) -> list[tuple[float, dict]]:
    """The texts most similar to the query's embedding, best first. A text whose answer is an error is not found."""
    pairs = ((text, answer) for text, answer in zip(texts, answers, strict=True) if "embedding" in answer)
    scored = [(similarity(query["embedding"], answer["embedding"]), text) for text, answer in pairs]
    return list(islice(sorted(scored, key=lambda pair: (-pair[0], pair[1]["id"])), BEST))


def table(title: str, found: list[tuple[float, dict]]) -> str:
    lines = [f'"{title}"']
    for score, text in found:
        words = text["text"] if len(text["text"]) <= TEXT_MAX else text["text"][: TEXT_MAX - 3] + "..."
        lines.append(f"  {score:5.2f}  {text['id']:<22} {words}")
    return "\n".join(lines) + "\n"


def main() -> int:
    if len(sys.argv) != 5:
        sys.stderr.write("usage: search.py TEXTS TEXTS_OUTPUT QUERIES QUERIES_OUTPUT\n")
        return 2
    texts, answers, queries, wanted = (read(path) for path in sys.argv[1:])
    if len(texts) != len(answers) or len(queries) != len(wanted):
        sys.stderr.write("An output has not as many lines as its input.\n")
        return 1
    tables = (table(query["text"], best(one, texts, answers)) for query, one in zip(queries, wanted, strict=True))
    sys.stdout.write("\n".join(tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
