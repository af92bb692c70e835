"""Answers searches with embeddings that fallow made. Standard library only.

    python3 search.py TEXTS EMBEDDINGS QUERY_EMBEDDINGS

TEXTS: JSON lines with "id" and "text". EMBEDDINGS: the output for them, one line each, in the same order.
QUERY_EMBEDDINGS: the output for the queries; the "id" of a line is what is shown as the query.
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
    """The most similar texts, best first. Items that have an error instead of an embedding are not found."""
    pairs = ((text, answer) for text, answer in zip(texts, answers, strict=True) if "embedding" in answer)
    scored = [(similarity(query["embedding"], answer["embedding"]), text) for text, answer in pairs]
    return list(islice(sorted(scored, key=lambda pair: (-pair[0], pair[1]["id"])), BEST))


def table(query: dict, found: list[tuple[float, dict]]) -> str:
    lines = [f'"{query["id"]}"']
    for score, text in found:
        words = text["text"] if len(text["text"]) <= TEXT_MAX else text["text"][: TEXT_MAX - 3] + "..."
        lines.append(f"  {score:5.2f}  {text['id']:<22} {words}")
    return "\n".join(lines) + "\n"


def main() -> int:
    if len(sys.argv) != 4:
        sys.stderr.write("usage: search.py TEXTS EMBEDDINGS QUERY_EMBEDDINGS\n")
        return 2
    texts, answers, queries = (read(path) for path in sys.argv[1:])
    if len(texts) != len(answers):
        sys.stderr.write(f"{sys.argv[2]} has {len(answers)} lines for {len(texts)} texts\n")
        return 1
    sys.stdout.write("\n".join(table(query, best(query, texts, answers)) for query in queries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
