"""Learning answers: no padding, no logits without a label, and the loss curve of peft with transformers' Trainer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lora_toys import LLAMA_TARGETS, bits, calm, llama, output, question_pairs, same_bits, shake, word_tokenizer
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from course_lib.tuning.adapters import save_adapter
from course_lib.tuning.batches import order_of
from course_lib.tuning.causal import PACKED, CausalTuner, can_pack, packed_attention
from course_lib.tuning.checkpoints import FILE
from course_lib.tuning.lora import add_lora, trainable_parameters
from course_lib.tuning.training import TrainingSettings, train


@pytest.fixture
def tuner() -> CausalTuner:
    return CausalTuner(word_tokenizer(), shake(add_lora(llama(), 4, 8, targets=LLAMA_TARGETS)))


def grads(model: torch.nn.Module) -> list[torch.Tensor]:
    found = [value.grad.clone() for value in trainable_parameters(model) if value.grad is not None]
    model.zero_grad()
    return found


def one_by_one(tuner: CausalTuner, pairs: list[tuple[str, str]]) -> torch.Tensor:
    """Sum of the loss as a textbook takes it: each text alone, logits everywhere, labels picked afterwards."""
    total = torch.zeros(())
    for prompt, answer in pairs:
        ids = tuner.tokenizer([prompt, answer], add_special_tokens=False)["input_ids"]
        text = torch.tensor([*ids[0], *ids[1], 2])
        logits = output(tuner.model, text[None])[0]
        total = total + cross_entropy(logits[len(ids[0]) - 1 : -1], text[len(ids[0]) :], reduction="sum")
    return total


# ---------------------------------------------------------------- rows and batches


def test_rows_by_hand() -> None:
    tuner = CausalTuner(word_tokenizer(), llama())
    rows = tuner.encode([("who won", "spain"), ("did it rain", "nobody say")])
    # who=3 won=4 ... did=10 it=11 rain=12 paris=13 spain=14 germany=15 nobody=16 ... say=22; 2 ends
    assert rows[0] == {"input_ids": [3, 4, 14], "labels": [14, 2], "n_labels": 2}
    assert rows[1] == {"input_ids": [10, 11, 12, 16, 22], "labels": [16, 22, 2], "n_labels": 3}
    inputs, labels = tuner.collate(rows)
    assert labels.tolist() == [14, 2, 16, 22, 2]
    assert inputs["input_ids"].tolist() == [[3, 4, 14, 10, 11, 12, 16, 22]]
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2, 3, 4]]
    assert inputs["lengths"].tolist() == [0, 3, 5] and inputs["labelled"].tolist() == [1, 2, 5, 6, 7]
    padded, again = CausalTuner(word_tokenizer(), llama(), packed=False).collate(rows)
    assert again.tolist() == labels.tolist()
    assert padded["input_ids"].tolist() == [[0, 0, 3, 4, 14], [10, 11, 12, 16, 22]]
    assert padded["attention_mask"].tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert padded["position_ids"].tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]]
    assert padded["labelled"].tolist() == [[False, True, True], [True, True, True]]


@given(seed=st.integers(0, 99), n=st.integers(1, 9))
def test_nothing_is_padded_and_every_answer_is_labelled(seed: int, n: int) -> None:
    tuner, pairs = CausalTuner(word_tokenizer(), llama(n_layers=1)), question_pairs(n, seed, "ask and say ")
    rows = tuner.encode(pairs)
    inputs, labels = tuner.collate(rows)
    words = [len(prompt.split()) + len(answer.split()) for prompt, answer in pairs]
    start, *rests = inputs["lengths"].tolist()
    assert start >= 3 or n == 1  # read once
    assert [start + rest for rest in rests] == words and inputs["input_ids"].shape == (1, start + sum(rests))
    assert len(labels) == sum(len(answer.split()) + 1 for _, answer in pairs) == sum(row["n_labels"] for row in rows)
    # the token after each labelled place, where it is not the end, is the label
    flat, places = inputs["input_ids"][0].tolist(), inputs["labelled"].tolist()
    assert all(label == 2 or flat[place + 1] == label for place, label in zip(places, labels.tolist(), strict=True))


def test_common_start_by_hand() -> None:
    tuner = CausalTuner(word_tokenizer(), llama())

    def start(*pairs: tuple[str, str]) -> list[int]:
        return list(tuner.collate(tuner.encode(pairs))[0]["lengths"].tolist())

    # "ask say did it rain" + "two": 6 tokens are read, "ask say who" + "two": 4; the first 2 are common
    assert start(("ask say did it rain", "two"), ("ask say who", "two")) == [2, 4, 2]
    assert start(("ask say", "two"), ("did it", "two")) == [0, 3, 3]
    assert start(("ask say", "two")) == [0, 3]  # alone: nothing to share
    # the last word of a prompt is where the first label stands: it is never shared, even in the same text twice
    assert start(("ask say", "two"), ("ask say", "two")) == [1, 2, 2]
    assert start(("ask", "two"), ("ask say", "two")) == [0, 2, 3]


@pytest.mark.parametrize("start", ["", "ask say and rain "])
@pytest.mark.parametrize("packed", [True, False])
def test_loss_and_gradients_are_those_of_each_text_alone(tuner: CausalTuner, packed: bool, start: str) -> None:
    pairs = question_pairs(7, start=start)
    expected = one_by_one(tuner, pairs)
    expected.backward()
    wanted = grads(tuner.model)
    other = CausalTuner(tuner.tokenizer, tuner.model, packed=packed)
    inputs, labels = other.collate(other.encode(pairs))
    logits = other(**inputs)
    assert logits.shape == (len(labels), 37)  # no logits but where a label is
    loss = cross_entropy(logits, labels, reduction="sum")
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    loss.backward()
    for mine, other_one in zip(grads(tuner.model), wanted, strict=True):
        torch.testing.assert_close(mine, other_one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("packed", [True, False])
def test_texts_of_a_batch_do_not_see_each_other(tuner: CausalTuner, packed: bool) -> None:
    other = CausalTuner(tuner.tokenizer, tuner.model, packed=packed)
    first, changed = [("who won", "spain"), ("did it rain", "say")], [("who won", "spain"), ("in the year", "two")]
    one, two = (other(**other.collate(other.encode(pairs))[0]) for pairs in (first, changed))
    torch.testing.assert_close(one[:2], two[:2], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(one[2:], two[2:])


@given(
    start=st.integers(0, 4),
    rests=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    heads=st.sampled_from([(2, 2), (4, 2), (6, 1)]),
)
def test_packed_attention_is_attention_of_each(start: int, rests: list[int], heads: tuple[int, int]) -> None:
    lengths = [start, *rests]
    rng, n = torch.Generator().manual_seed(sum(lengths)), sum(lengths)
    query = torch.randn(1, heads[0], n, 5, generator=rng)
    key, value = (torch.randn(1, heads[1], n, 5, generator=rng) for _ in range(2))
    made, _ = packed_attention(torch.nn.Identity(), query, key, value, None, lengths=torch.tensor(lengths), scaling=0.3)
    assert made.shape == (1, n, heads[0], 5)
    # the oracle: one attention over the whole row with a mask: a token sees the start and its own text, up to itself
    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    mask = ((owner[:, None] == owner[None]) | (owner[None] == 0)) & torch.ones(n, n).tril().bool()
    wide = [heads_of.repeat_interleave(heads[0] // heads[1], 1) for heads_of in (key, value)]
    expected = scaled_dot_product_attention(query, *wide, attn_mask=mask, scale=0.3)
    torch.testing.assert_close(made, expected.transpose(1, 2), rtol=1e-4, atol=1e-5)


@given(
    start=st.integers(0, 4),
    rest=st.integers(1, 9),
    heads=st.sampled_from([(2, 2), (4, 2), (6, 1), (9, 3)]),
    scaling=st.sampled_from([None, 0.3]),
)
def test_attention_written_out_in_bfloat16(
    start: int, rest: int, heads: tuple[int, int], scaling: float | None
) -> None:
    n, rng = start + rest, torch.Generator().manual_seed(start + rest)
    made = [torch.randn(1, count, n, 5, generator=rng).bfloat16().requires_grad_() for count in (*heads, heads[1])]
    exact = [value.detach().float().requires_grad_() for value in made]
    one, _ = packed_attention(torch.nn.Identity(), *made, None, lengths=torch.tensor([start, rest]), scaling=scaling)
    other, _ = packed_attention(torch.nn.Identity(), *exact, None, lengths=torch.tensor([start, rest]), scaling=scaling)
    assert one.dtype is torch.bfloat16
    torch.testing.assert_close(one.float(), other, rtol=0.05, atol=0.05)
    weight = torch.randn(other.shape, generator=rng)
    (one.float() * weight).sum().backward()
    (other * weight).sum().backward()
    for mine, wanted in zip(made, exact, strict=True):
        torch.testing.assert_close(mine.grad.float(), wanted.grad, rtol=0.1, atol=0.1)


def test_attention_is_put_back_even_after_an_error(tuner: CausalTuner) -> None:
    former = tuner.model.config._attn_implementation
    inputs, _ = tuner.collate(tuner.encode(question_pairs(2)))
    tuner(**inputs)
    assert tuner.model.config._attn_implementation == former != PACKED
    with pytest.raises((IndexError, RuntimeError)):
        tuner(**{**inputs, "input_ids": inputs["input_ids"] + 1000})
    assert tuner.model.config._attn_implementation == former


# ---------------------------------------------------------------- no work that no label needs


def test_no_gradient_below_the_lowest_adapter_and_none_for_frozen_weights() -> None:
    model = add_lora(llama(n_layers=4), 4, 8, targets=r".*layers\.[23]\..*(q|v)_proj")
    tuner, seen = CausalTuner(word_tokenizer(), model), {}
    for number, layer in enumerate(model.model.layers):
        layer.register_forward_hook(lambda _m, _i, made, n=number: seen.__setitem__(n, made.requires_grad))
    inputs, labels = tuner.collate(tuner.encode(question_pairs(4)))
    cross_entropy(tuner(**inputs), labels).backward()
    assert seen == {0: False, 1: False, 2: True, 3: True}  # autograd keeps nothing of the two lowest layers
    assert all(value.grad is None for name, value in model.named_parameters() if name[-2:] not in (".A", ".B"))


def test_bfloat16_base_with_masters_in_float32() -> None:
    model = add_lora(llama().to(torch.bfloat16), 4, 8, targets=LLAMA_TARGETS)
    before, pairs = bits(model), question_pairs(6)
    settings = TrainingSettings(learning_rate=2e-2, epochs=20, batch_size=6, warmup=0.0, weight_decay=0.0)
    result = train(CausalTuner(word_tokenizer(), model), pairs, settings)
    assert all(value.dtype is torch.float32 for value in trainable_parameters(model))
    assert result.losses[-1] < result.losses[0] / 3 and same_bits(bits(model), before)


# ---------------------------------------------------------------- the whole step


def trainer_losses(
    model: Any, tokenizer: Any, pairs: list[tuple[str, str]], folder: Path, **settings: Any
) -> list[float]:
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    rows = []
    for prompt, answer in pairs:
        ids = tokenizer([prompt, answer], add_special_tokens=False)["input_ids"]
        rows.append({"input_ids": [*ids[0], *ids[1], 2], "labels": [-100] * len(ids[0]) + [*ids[1], 2]})
    arguments = TrainingArguments(
        output_dir=str(folder), use_cpu=True, lr_scheduler_type="linear", train_sampling_strategy="sequential",
        logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False, **settings,
    )  # fmt: skip
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_loss_curve_is_that_of_peft_with_trainer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import peft

    pairs, ours, tokenizer = (
        question_pairs(12, start="ask say "),
        add_lora(llama(), 4, 8, targets=LLAMA_TARGETS),
        word_tokenizer(),
    )
    folder = save_adapter(ours, tmp_path / "adapter")
    settings = TrainingSettings(
        learning_rate=1e-2, epochs=1, batch_size=3, warmup=0.25, clip=1.0, weight_decay=0.1, part_tokens=20, seed=5
    )
    result = train(CausalTuner(tokenizer, ours), pairs, settings)
    with calm():
        theirs = peft.PeftModel.from_pretrained(llama(), str(folder), is_trainable=True)
        losses = trainer_losses(
            theirs, tokenizer, [pairs[i] for i in order_of(12, 0, 5)], tmp_path / "run", num_train_epochs=1, warmup_steps=1,
            per_device_train_batch_size=3, learning_rate=1e-2, weight_decay=0.1, max_grad_norm=1.0,
        )  # fmt: skip
    assert len(losses) == len(result.losses) == 4 and max(losses) - min(losses) > 0.05
    torch.testing.assert_close(torch.tensor(result.losses), torch.tensor(losses), rtol=1e-3, atol=1e-4)
    named = dict(theirs.named_parameters())
    for name, value in ours.named_parameters():
        if name.endswith((".A", ".B")):
            partner = named[f"base_model.model.{name[:-1]}lora_{name[-1]}.default.weight"]
            torch.testing.assert_close(value, partner, rtol=1e-3, atol=2e-4)
    capsys.readouterr()


def test_one_batch_is_learned_by_heart_and_the_base_is_untouched() -> None:
    model, pairs = add_lora(llama(), 8, 16, targets=LLAMA_TARGETS), question_pairs(5)
    tuner, before = CausalTuner(word_tokenizer(), model), bits(model)
    result = train(
        tuner, pairs, TrainingSettings(learning_rate=2e-2, epochs=60, batch_size=5, warmup=0.0, weight_decay=0.0)
    )
    assert result.losses[-1] < result.losses[0] / 10 and same_bits(bits(model), before)
    inputs, labels = tuner.collate(tuner.encode(pairs))
    assert float((tuner(**inputs).argmax(1) == labels).float().mean()) > 0.9


def test_parts_add_up_to_the_batch() -> None:
    losses = []
    for parts in ({}, {"part_tokens": 12}, {"accumulation": 4}):
        model = add_lora(llama(), 4, 8, targets=LLAMA_TARGETS)
        settings = TrainingSettings(learning_rate=1e-2, epochs=2, batch_size=8, warmup=0.0, **parts)
        losses.append(train(CausalTuner(word_tokenizer(), model), question_pairs(16), settings).losses)
    for other in losses[1:]:
        torch.testing.assert_close(torch.tensor(other), torch.tensor(losses[0]), rtol=1e-4, atol=1e-5)
    assert not any(map(math.isnan, losses[0]))


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    pairs, settings = question_pairs(9), TrainingSettings(learning_rate=1e-2, epochs=2, batch_size=3)

    def one(folder: Path | None, stop: bool) -> Any:
        model = add_lora(llama(), 4, 8, targets=LLAMA_TARGETS)
        tuner = CausalTuner(word_tokenizer(), model)
        result = train(
            tuner,
            pairs,
            settings,
            validation=pairs[:4],
            folder=folder,
            on_step=lambda report: stop and report.step == 2,
        )
        return result, [value.detach() for value in trainable_parameters(model)]

    whole, weights = one(None, stop=False)
    stopped, _ = one(tmp_path, stop=True)
    assert len(stopped.losses) == 2
    # a stop that on_step asked for is an end; an interrupted run is one whose state does not say so
    state = torch.load(tmp_path / FILE, weights_only=True)
    torch.save({**state, "stopped_because": ""}, tmp_path / FILE)
    resumed, again = one(tmp_path, stop=False)
    assert resumed.losses == whole.losses and resumed.validation == whole.validation
    assert all(torch.equal(mine, other) for mine, other in zip(again, weights, strict=True))


# ---------------------------------------------------------------- which models can be packed


def test_a_model_with_a_window_is_padded() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes = {"vocab_size": 37, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "intermediate_size": 40, "max_position_embeddings": 64, "pad_token_id": 0}  # fmt: skip
    narrow = MistralForCausalLM(MistralConfig(**sizes, sliding_window=4)).eval()
    assert not can_pack(narrow) and can_pack(llama())
    tuner, pairs = CausalTuner(word_tokenizer(), add_lora(narrow, 3, 6, targets=["q_proj"])), question_pairs(5)
    assert not tuner.packed
    inputs, labels = tuner.collate(tuner.encode(pairs))
    loss = cross_entropy(tuner(**inputs), labels, reduction="sum")
    torch.testing.assert_close(loss, one_by_one(tuner, pairs), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="packed must be False for MistralForCausalLM"):
        CausalTuner(word_tokenizer(), narrow, packed=True)
    wide = MistralForCausalLM(MistralConfig(**sizes, sliding_window=None))
    assert can_pack(wide)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("pair", "error", "words"),
    [
        (("", "spain"), ValueError, "prompt of example 1 must not be empty"),
        (("who", " \n"), ValueError, "answer of example 1 must not be empty"),
        (("who", None), TypeError, "answer of example 1 must be a str, got NoneType"),
        ((3, "spain"), TypeError, "prompt of example 1 must be a str, got int"),
        (("who " * 9, "spain"), ValueError, "example 1 must fit into max_tokens=10, prompt and answer have 11"),
    ],
)
def test_examples_that_cannot_be_learned_from(pair: Any, error: type[Exception], words: str) -> None:
    tuner = CausalTuner(word_tokenizer(), llama(), max_tokens=10)
    with pytest.raises(error, match=words):
        tuner.encode([("who won", "spain"), pair])


def test_longest_example_that_fits() -> None:
    (row,) = CausalTuner(word_tokenizer(), llama(), max_tokens=10).encode([("who " * 8, "spain")])
    assert len(row["input_ids"]) + 1 == 10


def test_a_tokenizer_without_an_end() -> None:
    tokenizer = word_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="must have an end token"):
        CausalTuner(tokenizer, llama())
