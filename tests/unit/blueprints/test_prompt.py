"""Prompts: data stays data, and a template can do no more than print."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprints.errors import PromptError
from blueprints.prompt import MAX_LOG_CHARACTERS, Feedback, PromptTask, check_template, render

TASK = PromptTask(
    id="t7", title="A title", body="A body", scope=("src/**", "*.md"), labels=("bug",), blueprint="fix", priority=2
)
FAILED = Feedback(step="test", exit_code=3, log="boom\n")


def rendered(source: str, task: PromptTask = TASK, feedback: Feedback | None = None) -> str:
    return render(source, task=task, feedback=feedback, round_number=2, rounds=5)


def refused(source: str) -> PromptError:
    with pytest.raises(PromptError) as caught:
        check_template(source)
    return caught.value


def test_every_variable_has_its_value() -> None:
    source = "{{ task.id }}|{{ task.title }}|{{ task.body }}|{{ task.scope }}|{{ task.labels }}|{{ task.blueprint }}"
    assert rendered(source) == "t7|A title|A body|src/**, *.md|bug|fix"
    source = (
        "{{ task.priority }}|{{ round }}/{{ rounds }}|{{ feedback.step }}|{{ feedback.exit_code }}|{{ feedback.log }}"
    )
    assert rendered(source, feedback=FAILED) == "2|2/5|test|3|boom\n"


def test_feedback_reads_as_text_and_is_empty_and_false_without_a_failed_gate() -> None:
    assert rendered("{{ feedback }}", feedback=FAILED) == "The step 'test' failed with exit code 3. Its log:\n\nboom\n"
    assert rendered("[{{ feedback }}{{ feedback.log }}]") == "[]"
    assert rendered("{% if feedback %}again{% else %}first{% endif %}") == "first"
    assert rendered("{% if feedback %}again{% else %}first{% endif %}", feedback=FAILED) == "again"


def test_block_tags_leave_no_empty_lines() -> None:
    assert rendered("a\n  {% if round > 1 %}\nb\n  {% endif %}\nc\n") == "a\nb\nc\n"


def test_a_loop_goes_over_the_tasks_own_lists() -> None:
    assert rendered("{% for path in task.scope %}{{ loop.index }}. {{ path }}\n{% endfor %}") == "1. src/**\n2. *.md\n"


def test_filters_and_conditions_work() -> None:
    assert rendered("{{ task.title | upper | truncate(4, true, '', 0) }}") == "A TI"
    assert rendered("{{ task.labels | join(' + ') }}{{ task.body | indent(2, true) }}") == "bug  A body"
    assert rendered("{{ 'urgent' if task.priority == 0 or 'bug' in task.labels else 'calm' }}") == "urgent"


@given(st.text(st.sampled_from("{}%#7* \n-'\"ab_.[]()|\\") | st.characters(codec="utf-8"), max_size=60))
def test_what_comes_from_outside_is_never_read_as_a_template(text: str) -> None:
    hostile = replace(TASK, title=text, body=text, labels=(text,))
    log = Feedback(step="test", exit_code=1, log=text)
    source = "{{ task.title }}\x1f{{ task.body }}\x1f{{ task.labels }}\x1f{{ feedback.log }}"
    assert rendered(source, hostile, log).split("\x1f") == [text, text, text, text] or "\x1f" in text


def test_feedback_goes_through_filters_as_text() -> None:
    assert rendered("{{ feedback | trim | indent(2) }}", feedback=FAILED).endswith("\n  boom")
    assert rendered("{{ feedback | length }}{{ feedback | indent }}") == "0"


def test_braces_in_a_title_stay_as_they_are() -> None:
    assert rendered("{{ task.title }}", replace(TASK, title="{{ 7*7 }}{% raw %}")) == "{{ 7*7 }}{% raw %}"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ titel }}", "unknown variable 'titel'"),
        ("{{ task.titel }}", "expected 'task.title'"),
        ("{{ feedback.lgo }}", "expected 'feedback.log'"),
        ("{% if false %}{{ task.nope }}{% endif %}", "unknown variable 'task.nope'"),
        ("{{ task.title.upper }}", "unknown variable"),
        ("{{ task.__class__ }}", "unknown variable 'task.__class__'"),
        ("{{ round.real }}", "unknown variable 'round.real'"),
        ("{{ task }}", "'task' has no text of its own"),
        ("{{ loop.index }}", "unknown variable 'loop.index'"),
        ("{{ self }}", "unknown variable 'self'"),
        ("{{ range(10) }}", "may not use a call"),
        ("{{ task.title.format(1) }}", "may not use a call"),
        ("{{ task['title'] }}", "may not use an index"),
        ("{{ 9 ** 9 ** 9 }}", "may not use an operator"),
        ("{{ 'x' * 999999999 }}", "may not use an operator"),
        ("{{ '%999999999d' % 1 }}", "may not use an operator"),
        ("{% set x = 1 %}", "may not use {% set %}"),
        ("{% include 'x' %}", "may not use {% include %}"),
        ("{% macro m() %}{% endmacro %}", "may not use {% macro %}"),
        ("{% filter upper %}x{% endfilter %}", "may not use"),
        ("{% for x in task.title %}{% endfor %}", "may not loop like this"),
        ("{% for a in task.scope %}{% for b in task.scope %}{% endfor %}{% endfor %}", "may not loop like this"),
        ("{% for task in task.scope %}{% endfor %}", "hides the variable 'task'"),
        ("{{ task.title | pprint }}", "unknown filter 'pprint'"),
        ("{{ task.title | uper }}", "syntax error|unknown filter"),
        ("{{ task.body | indent(999999) }}", "unusable argument"),
        ("{{ task.body | default(task.title) }}", "unusable argument"),
        ("{{ task.body | trim(chars='x') }}", "arguments that it does not take"),
        ("{{ 1 is divisibleby(1) }}", "unknown test"),
        ("{{ 'a' if feedback }}", "no 'else'"),
        ("{{ task.labels | first }}", "cannot be rendered"),
        ("{% if task.title > 1 %}{% endif %}", "cannot be rendered"),
        ("{{ task.title | truncate(1) }}", "cannot be rendered"),
        ("{{ task.title", "syntax error"),
        ("{% if round %}", "syntax error"),
        ("{{ " + "(" * 5000 + " }}", "cannot be read"),
        ("{{ " + "not " * 50 + "round }}", "nested too deep"),
        ("{{ " + "9" * 5000 + " }}", "cannot be read"),
    ],
)
def test_a_template_that_prompts_may_not_have_is_refused(source: str, says: str) -> None:
    assert any(each in str(refused(source)) for each in says.split("|"))


def test_a_mistake_is_named_by_the_templates_line() -> None:
    assert refused("one\ntwo {{ nope }}").line == 2
    assert refused("one\n\n{{ nope").line == 3


def test_the_end_of_a_long_log_is_kept() -> None:
    log = "x" * MAX_LOG_CHARACTERS + "the end"
    text = rendered("{{ feedback.log }}", feedback=Feedback(step="test", exit_code=1, log=log))
    assert text.startswith("[7 characters left out]\nx")
    assert text.endswith("the end")


def test_a_prompt_that_grows_too_large_is_refused() -> None:
    huge = replace(TASK, body="x" * 300_000)
    with pytest.raises(PromptError, match="too large"):
        rendered("{{ task.body }}" * 4, huge)
    with pytest.raises(PromptError, match="too large"):
        rendered("{{ task.body | join('aaaaaaaaaa') | length }}", huge)


PIECES = (
    "{{ ", " }}", "{% ", " %}", "task", ".title", ".labels", "if ", "endif", "for ", "x ", "in ", "|", "upper", "(",
    ")", "not ", "1", "feedback", "\n", "loop.index",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_template_is_either_refused_or_renders(source: str) -> None:
    try:
        check_template(source)
    except PromptError:
        return
    assert isinstance(rendered(source), str)
