"""The classifier and its output layer: pooling by hand, the oracle, labels, texts of all kinds, and the way to disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.tuning.classifier_folder import CARD, HEAD, RECORD
from course_lib.tuning.heads import TextClassifier, mean_pool, new_classifier, new_head, replace_head

Make = Callable[..., TextClassifier]


def test_mean_pool_by_hand() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]]])  # the third token is padding
    assert mean_pool(hidden, torch.tensor([[1, 1, 0]])).tolist() == [[2.0, 4.0]]  # (1 + 3) / 2, (2 + 6) / 2


def test_a_new_head_is_small_and_its_seed_makes_it() -> None:
    head = new_head(40, 7, seed=3)
    assert head.weight.shape == (7, 40) and not head.bias.any()
    assert 0.015 < float(head.weight.detach().std()) < 0.025
    assert torch.equal(head.weight, new_head(40, 7, seed=3).weight)
    assert not torch.equal(head.weight, new_head(40, 7, seed=4).weight)
    with pytest.raises(ValueError, match="n_classes must be at least 2, got 1"):
        new_head(40, 1)


def test_logits_by_hand(make_tiny: Make) -> None:
    """One text without padding: the head's product with the mean, or with the first token's vector."""
    for pooling in ("mean", "cls"):
        model = make_tiny(pooling=pooling)
        inputs, _ = model.collate(model.tokenise(["the meter is wrong"]))
        hidden = model.encoder(**inputs).last_hidden_state[0]  # (n_tokens, dim)
        vector = hidden.mean(dim=0) if pooling == "mean" else hidden[0]
        expected = model.head.weight @ vector + model.head.bias
        torch.testing.assert_close(model(**inputs)[0], expected)


def test_equal_to_the_classifier_of_transformers(tiny: TextClassifier) -> None:
    """DistilBERT's classifier reads the first token, too; here the logits are built from the encoder's own parts."""
    from transformers import BertForSequenceClassification

    theirs = BertForSequenceClassification(tiny.encoder.config)
    theirs.config.num_labels = 3
    theirs.classifier = tiny.head
    theirs.bert.load_state_dict(tiny.encoder.state_dict(), strict=False)
    theirs.bert.pooler = torch.nn.Identity()  # [CLS] without the extra layer
    theirs.bert.pooler.forward = lambda hidden: hidden[:, 0]  # type: ignore[method-assign]
    theirs.eval()
    model = new_classifier(tiny.tokenizer, tiny.encoder, tiny.labels, max_tokens=16, pooling="cls", seed=5)
    inputs, _ = model.collate(model.tokenise(["the meter is wrong", "solar panel"]))
    torch.testing.assert_close(model(**inputs), theirs(**inputs).logits)


def test_probabilities_do_not_depend_on_the_company(tiny: TextClassifier, examples: list[tuple[str, str]]) -> None:
    texts = [text for text, _ in examples]
    together = tiny.probabilities(texts, part_tokens=40)
    alone = np.concatenate([tiny.probabilities([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    assert tiny.predict(texts) == [tiny.labels[i] for i in alone.argmax(axis=1)]
    assert tiny.probabilities([]).shape == (0, 3) and tiny.predict([]) == []


def test_prediction_leaves_the_mode_as_it_was(make_tiny: Make) -> None:
    model = make_tiny(dropout=0.5).train()
    first = model.probabilities(["the meter"])
    np.testing.assert_array_equal(first, model.probabilities(["the meter"]))  # dropout was off
    assert model.training


def test_a_copy_is_trained_not_the_shared_encoder(tiny: TextClassifier) -> None:
    before = tiny.encoder.embeddings.word_embeddings.weight.clone()
    other = new_classifier(tiny.tokenizer, tiny.encoder, ("a", "b"), max_tokens=16)
    with torch.no_grad():
        other.encoder.embeddings.word_embeddings.weight.zero_()
    assert torch.equal(tiny.encoder.embeddings.word_embeddings.weight, before)


def test_replace_head(tiny: TextClassifier) -> None:
    encoder = tiny.encoder
    assert replace_head(tiny, 2, labels=("yes", "no")) is tiny
    assert tiny.head.weight.shape == (2, 24) and tiny.encoder is encoder
    assert set(tiny.predict(["the meter", "solar"])) <= {"yes", "no"} and tiny.label_ids(["no"]) == [1]
    assert replace_head(tiny, 4).labels == ("class 0", "class 1", "class 2", "class 3")
    with pytest.raises(ValueError, match="labels must be 3 names"):
        replace_head(tiny, 3, labels=("yes", "no"))
    with pytest.raises(ValueError, match="n_classes must be at least 2"):
        replace_head(tiny, 1)


def test_unknown_label(tiny: TextClassifier) -> None:
    with pytest.raises(ValueError, match="label 'bilking' is not one of the classifier's 3: did you mean 'billing'"):
        tiny.label_ids(["solar", "bilking"])
    with pytest.raises(ValueError, match="it knows billing, metering, solar"):
        tiny.encode([("the meter", "xyz")])


def test_texts_that_are_none(tiny: TextClassifier) -> None:
    with pytest.raises(ValueError, match=r"texts\[1\] must not be empty"):
        tiny.predict(["the meter", "  \n"])
    with pytest.raises(TypeError, match=r"texts\[0\] must be a str, got float"):
        tiny.predict([float("nan")])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="must be a list of str, got one str"):
        tiny.predict("the meter")
    with pytest.raises(ValueError, match=r"texts\[0\] must not be empty"):
        tiny.truncated([""])


def test_text_beyond_the_limit_is_cut_and_named(make_tiny: Make) -> None:
    model = make_tiny(max_tokens=6)  # [CLS], four words, [SEP]
    long, short = "the meter is wrong please help", "the meter is wrong"
    assert model.truncated([short, long]) == [1]
    assert [len(row["input_ids"]) for row in model.tokenise([short, long])] == [6, 6]
    np.testing.assert_array_equal(model.probabilities([long]), model.probabilities([short]))
    assert model.truncated([]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "max"}, "pooling must be one of mean, cls, got 'max'"),
        ({"max_tokens": 33}, "max_tokens must be between 3 and the encoder's 32 positions, got 33"),
        ({"max_tokens": 2}, "max_tokens must be between 3"),
        ({"labels": ("a", "a", "b")}, "labels must be at least two different names"),
        ({"labels": ("a", "b")}, "head must turn 24 numbers into 2 logits"),
    ],
)
def test_bad_classifiers(tiny: TextClassifier, change: dict[str, object], message: str) -> None:
    arguments = {"labels": tiny.labels, "max_tokens": 16, "pooling": "mean", **change}
    with pytest.raises(ValueError, match=message):
        TextClassifier(tiny.tokenizer, tiny.encoder, tiny.head, **arguments)  # type: ignore[arg-type]


def test_to_disk_and_back(make_tiny: Make, tmp_path: Path, examples: list[tuple[str, str]]) -> None:
    model, texts = make_tiny(pooling="cls"), [text for text, _ in examples]
    folder = model.save(tmp_path / "model", note="Trained on 26 messages.")
    again = TextClassifier.load(folder)
    assert (again.labels, again.max_tokens, again.pooling) == (model.labels, 16, "cls")
    np.testing.assert_array_equal(again.probabilities(texts), model.probabilities(texts))
    card = (folder / CARD).read_text(encoding="utf-8")
    assert "3 layers" in card and "billing, metering, solar" in card and "Trained on 26 messages." in card
    replace_head(model, 2)
    model.save(folder)  # a former classifier is replaced
    assert TextClassifier.load(folder).labels == ("class 0", "class 1")
    assert not list(tmp_path.glob("*.part"))


def test_damaged_folders(tiny: TextClassifier, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no classifier"):
        TextClassifier.load(tmp_path / "nowhere")
    folder = tiny.save(tmp_path / "model")
    (folder / HEAD).write_bytes((folder / HEAD).read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{HEAD} is damaged or was changed"):
        TextClassifier.load(folder)
    (folder / HEAD).unlink()
    with pytest.raises(FileNotFoundError, match=f"{HEAD} is missing"):
        TextClassifier.load(folder)
    (folder / RECORD).write_text(json.dumps({"labels": []})[:8])
    with pytest.raises(ValueError, match=f"{RECORD} is damaged"):
        TextClassifier.load(folder)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="holds something that is no classifier"):
        tiny.save(tmp_path / "notes")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "keep me"


def test_an_adapter_is_not_saved_as_a_classifier(tiny: TextClassifier, tmp_path: Path) -> None:
    tiny.encoder.encoder.layer[0].extra = torch.nn.Linear(2, 3)
    with pytest.raises(ValueError, match="merge the adapter first"):
        tiny.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
