"""The doctor's menu: words in, one look, one diagnosis, print. `python3 -m doctor --help` explains it."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from doctor import render
from doctor.consult import (
    HOME,
    Consultation,
    UsageError,
    consult,
    consult_recorded,
    goal_named,
    own_environment,
    question_here,
    replay_of_this_machine,
    rules_named,
    subject_of,
)
from doctor.diff import compare
from doctor.fix import plan
from doctor.mend import mend
from doctor.options import parser
from doctor.record import Recorder
from doctor.redact import own_names, redact
from doctor.replay import RecordingError, load
from doctor.screen import show, show_lines
from doctor.shell import LiveHost
from doctor.stacks import StackError
from doctor.tables import table, table_names
from doctor.words import catalogue, say, translate

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from doctor.advise import Advice
    from doctor.diagnose import Diagnosis
    from doctor.finding import Goal, Rule
    from doctor.fix import Plan
    from doctor.replay import Replay

HEALTHY, WARNINGS, PROBLEMS, COULD_NOT_LOOK = 0, 1, 2, 3
DIFFERENT = 1


def main(words: Sequence[str] | None = None) -> int:
    """Run the doctor on the command-line words; return the exit code."""
    words = sys.argv[1:] if words is None else words
    options = parser(words).parse_args(words)
    try:
        return _asked(options)
    except (UsageError, RecordingError, StackError) as why:
        _complain(why.args[0], options)
        return PROBLEMS
    except BrokenPipeError:  # `doctor | head` closed the pipe: nobody is left to read
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PROBLEMS
    except OSError as why:
        words_of_it = "{file}: {problem}; name a folder that can be written"
        _complain(say(words_of_it, file=why.filename or "standard output", problem=why.strerror or str(why)), options)
        return PROBLEMS


def _asked(options: argparse.Namespace) -> int:
    """Do what the first word asks for."""
    if options.what == "why":
        return _why(options)
    if options.what == "explain":
        return _explain(options)
    if options.what == "diff":
        return _diff(options)
    if options.names:
        word = say("{word}: one word too many; see: python3 -m doctor --help", word=options.names[0])
        raise UsageError(word)
    if options.fix and (options.replay or options.what):
        raise UsageError("--fix: it mends this machine only; leave out --replay and the word before it")
    if options.record and options.replay:
        raise UsageError("--record: it records this machine; leave out --replay")
    if options.dry_run and not options.fix:
        raise UsageError("--dry-run: it belongs to --fix: python3 -m doctor --fix --dry-run")
    if options.tables is not None:
        return _tables(options)
    return _list(options) if options.list else _judge(options)


def _explain(options: argparse.Namespace) -> int:
    """Name the root cause in a log; add what this machine (or the recorded one) knows of it."""
    from doctor.logs.explain import explain  # noqa: PLC0415 — 200 signatures, which no other word needs
    from doctor.logs.here import here  # noqa: PLC0415
    from doctor.logs.read import read_log  # noqa: PLC0415
    from doctor.render.explanation import explanation, explanation_as_json  # noqa: PLC0415

    if len(options.names) != 1:
        raise UsageError("explain: name one log file, or - for standard input: python3 -m doctor explain build.log")
    try:
        told = explain(read_log(options.names[0]))
    except OSError as why:
        words = "explain: {file}: {problem}; name a log file, or - for standard input"
        raise UsageError(say(words, file=options.names[0], problem=why.strerror or str(why))) from why
    code = HEALTHY if told.cause else COULD_NOT_LOOK
    joined = here(told.cause, _consulted(options)) if told.cause and not options.alone else ()
    if options.json:
        show(explanation_as_json(told, joined, exit_code=code, language=options.lang))
    else:
        show_lines(explanation(told, joined, language=options.lang))
    return code


def _judge(options: argparse.Namespace) -> int:
    told = _consulted(options)
    if options.what == "stack":
        return _print_stack(told.advice, options)
    if options.fix:
        made = plan(told.diagnosis, own_environment(LiveHost()), HOME)
        if options.dry_run:
            return _print_plan(made, told.diagnosis, options)
        if not _mend(made, options):
            return PROBLEMS
        told = _consulted(options) if made.steps else told
    return _print_told(told, options)


def _print_told(told: Consultation, options: argparse.Namespace) -> int:
    """Print the diagnosis in the form that is asked for; return its exit code."""
    diagnosis, advice, language = told.diagnosis, told.advice, options.lang
    code = exit_code(diagnosis, strict=options.strict)
    if options.json:
        show(render.as_json(diagnosis, advice, exit_code=code, language=language))
    elif options.issue:
        text = render.issue(diagnosis, advice, language=language)
        show(text if options.no_redact else redact(text, own_names()))
    elif options.markdown:
        show(render.markdown(diagnosis, advice, language=language))
    else:
        show_lines(render.terminal(diagnosis, advice, language=language, whole=options.all or bool(options.only)))
    return code


def _consulted(options: argparse.Namespace) -> Consultation:
    """Judge this machine, or the recorded one."""
    rules, goal = rules_named(options.only), goal_named(options.goal)
    if options.replay:
        return consult_recorded(load(Path(options.replay)), goal=goal, rules=rules, network=options.network)
    return _seen(options, goal, rules)


def _seen(options: argparse.Namespace, goal: Goal, rules: Sequence[Rule]) -> Consultation:
    """Judge this machine; write down what was seen where `--record` asks for it."""
    live = LiveHost()
    question = question_here(
        live,
        python=options.python,
        dataroot=options.dataroot,
        deep=options.deep,
        extensions=options.extension,
        checkout=options.checkout,
    )
    question = replace(question, network=options.network)
    if not options.record:
        return consult(live, question=question, goal=goal, rules=rules)
    recorder = Recorder(live)
    told = consult(recorder, question=replace(question, deep=False), goal=goal, rules=rules)
    path = recorder.save(Path(options.record), subject_of(question), redacted=not options.no_redact)
    words = "recorded in {path}; names, tokens, UUIDs and addresses are redacted; look before you send it"
    if options.no_redact:
        words = "recorded in {path}, not redacted: names, tokens and addresses may stand in it; keep it to yourself"
    _complain(say(words, path=path), options)
    return told


def exit_code(diagnosis: Diagnosis, *, strict: bool) -> int:
    """Return 2 for a problem, 3 where something could not be looked at, 1 for a warning under `strict`, else 0."""
    if diagnosis.count("problem"):
        return PROBLEMS
    if diagnosis.could_not_look:
        return COULD_NOT_LOOK
    return WARNINGS if strict and diagnosis.count("warning") else HEALTHY


def _print_stack(advice: Advice, options: argparse.Namespace) -> int:
    """Print the name of the stack that fits and nothing else on stdout; reasons go to stderr, or into the JSON."""
    if options.json:
        show(render.advice_as_json(advice, language=options.lang))
        return HEALTHY if advice.choice else PROBLEMS
    if advice.choice is None:
        words = "{why}. See what to do: ./bevready doctor. Or work on the CPU: {command}"
        command = f"BEVREADY_STACK={advice.ranking[0].stack.name} ./bevready …"
        _complain(say(words, why=advice.why, command=command), options)
        return PROBLEMS
    show(advice.choice.name)
    return HEALTHY


def _list(options: argparse.Namespace) -> int:
    rules = rules_named(options.only)
    if options.json:
        show(render.rules_as_json(rules, language=options.lang))
    else:
        show(render.rule_list(rules, language=options.lang))
    return HEALTHY


def _why(options: argparse.Namespace) -> int:
    """Print the page of each rule that is named."""
    if not any(name.strip(" ,") for name in options.names):
        raise UsageError("why: name a check, as in: python3 -m doctor why DRV01")
    rules = rules_named(",".join(options.names), asked_by="why")
    if options.json:
        show(render.rules_as_json(rules, language=options.lang))
    else:
        show("\n\n".join(render.rule_page(rule, language=options.lang) for rule in rules))
    return HEALTHY


def _diff(options: argparse.Namespace) -> int:
    """Print what differs between two machines: 0 nothing, 1 something."""
    if len(options.names) != 2:
        raise UsageError("diff: name two recordings, or live for this machine: python3 -m doctor diff A live")
    rules, goal = rules_named(options.only), goal_named(options.goal)
    sides = [_side(name, options) for name in options.names]
    before, after = (consult_recorded(side, goal=goal, rules=rules).diagnosis for side in sides)
    found, names = compare(before, after), (options.names[0], options.names[1])
    code = HEALTHY if found.is_empty else DIFFERENT
    if options.json:
        show(render.difference_as_json(found, names, exit_code=code, language=options.lang))
    else:
        show_lines(render.difference(found, names, language=options.lang))
    return code


def _print_plan(made: Plan, diagnosis: Diagnosis, options: argparse.Namespace) -> int:
    """Print what `--fix` would run; return the exit code of the diagnosis."""
    if options.json:
        show(render.plan_as_json(made, language=options.lang))
    else:
        show_lines(render.plan(made, language=options.lang))
    return exit_code(diagnosis, strict=options.strict)


def _mend(made: Plan, options: argparse.Namespace) -> bool:
    """Mend bevready's own environment, in sight; return whether every step went well."""
    for _, line in render.plan(made, language=options.lang):
        print(line, file=sys.stderr)  # noqa: T201 — this is the menu
    failed = mend(made, lambda line: _complain(say("running {command}", command=line), options))
    if failed is not None:
        _complain(say("{code}: the repair failed: {command}", code=failed.code, command=str(failed)), options)
    return failed is None


def _side(name: str, options: argparse.Namespace) -> Replay:
    """Return a recording, or this machine as one."""
    if name == "live":
        return replay_of_this_machine(python=options.python, dataroot=options.dataroot)
    return load(Path(name))


def _tables(options: argparse.Namespace) -> int:
    """Print one compatibility table, or all."""
    if options.tables and options.tables not in table_names():
        words = "--tables {name}: expected one of {known}"
        raise UsageError(say(words, name=options.tables, known=", ".join(table_names())))
    chosen = [table(name) for name in table_names() if options.tables in {"", name}]
    told = render.tables_as_json if options.json else render.tables
    show(told(chosen, language=options.lang))
    return HEALTHY


def _complain(text: str, options: argparse.Namespace) -> None:
    """Say something about the run itself, beside what was asked for."""
    print(f"doctor: {translate(text, catalogue(options.lang))}", file=sys.stderr)  # noqa: T201 — this is the menu


if __name__ == "__main__":
    sys.exit(main())
