"""Checks of lesson 13. A task's probes come from a random generator, so that graded numbers differ from practice."""

from __future__ import annotations

from course_lib.checks.label_probes import loss_probes, mask_probes, template_probes
from course_lib.checks.tuned_style_probes import forgetting_probes, packing_probes, padding_probes, style_probes
from course_lib.classroom.check import Check, Task

TASKS: tuple[Task, ...] = (
    Task(
        "template",
        "chat_text",
        "The chat template",
        2,
        template_probes,
        (
            "One turn is f'<|im_start|>{role}\\n{text}<|im_end|>\\n'. Print one after another.",
            "''.join(...) over the turns puts nothing between them.",
            "If to_be_answered, add '<|im_start|>assistant\\n' at the end, and nothing after it.",
        ),
        "The model has learnt one way to tell who speaks. A prompt with other marks is a text such as it has not seen, and whatever it "
        "says then has little to do with its tuning.",
    ),
    Task(
        "mask",
        "label_mask",
        "The label mask",
        3,
        mask_probes,
        (
            "Go through tokens and parts together, and remember the part of the token before.",
            "A token counts if its part is 'assistant', or if it is 'end' and the part before was 'assistant'.",
            "labels.append(token if counts else IGNORED)",
        ),
        "The model learns to write what has a label. Question and marks are read, and shape the answer, but nobody asks the model to "
        "write them. Without the end in the mask it never learns to stop.",
    ),
    Task(
        "loss",
        "answer_loss",
        "The loss of the answer",
        3,
        loss_probes,
        (
            "Row i guesses token i + 1: compare logits[:-1] with labels[1:].",
            "ln p = logit minus the logarithm of the sum of np.exp over the row, after its largest was subtracted.",
            "Take ln p at the label, only where the label is not IGNORED, and the mean of these with a minus.",
        ),
        "Libraries shift inside the loss, so labels stand where their tokens stand. Who shifts by hand as well trains the model to guess "
        "the token after the next, and the loss falls all the same.",
    ),
    Task(
        "padding",
        "padded_share",
        "Padding",
        2,
        padding_probes,
        (
            "lengths[start : start + batch_size] is a batch; the last one may be shorter.",
            "A batch takes len(batch) * max(batch) places.",
            "1 - sum(lengths) / places, with the places of all batches added up.",
        ),
        "Padding is computed like text and thrown away. It depends on who shares a batch: sorted by length, neighbours are alike and "
        "little is lost.",
    ),
    Task(
        "packing",
        "packed",
        "Packing",
        3,
        packing_probes,
        (
            "sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)) gives the positions, the longest first.",
            "Keep the room that is left in each row, and go through the rows from the first.",
            "Where room[n] >= lengths[i], put i into row n; where no row has room, begin a new one.",
        ),
        "First fit decreasing needs at most 11/9 of the fewest rows, and one more (Johnson, 1973). Texts in one row must not see each "
        "other: positions and attention begin anew with each.",
    ),
    Task(
        "style",
        "broken_rules",
        "Three rules of style",
        2,
        style_probes,
        (
            "len(text.split()) counts words; 25 <= n <= 60 has both borders.",
            "text.count('Next step:') says how often; text.partition('Next step:')[2] is what comes after.",
            "Compare with text.lower(), and ask of every phrase whether it stands in it.",
        ),
        "A rule sees a form, at no cost and always alike. What the answer says it does not see: a false answer can keep all of them.",
    ),
    Task(
        "forgetting",
        "forgetting",
        "Forgetting",
        2,
        forgetting_probes,
        (
            "Look at the prompts that were right before: which of them are right after?",
            "The first number is a share of these alone; the second divides by all prompts.",
            "Ask whether any was right before you divide, and return 0.0 otherwise.",
        ),
        "A score that stays level can hide that half of it was exchanged. Going prompt by prompt tells what was lost from what was "
        "won.",
    ),
)

check = Check("13_tuning_a_generator", TASKS)
