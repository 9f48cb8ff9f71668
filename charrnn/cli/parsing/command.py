"""A command: the parameters of its function, and options that are declared elsewhere.

With :func:`takes` a function declares further options of its command: fields of a configuration,
such as ``TrainConfig.lr``, which becomes ``--lr``, and the options of the cells, optimizers and
schedules that a configuration can choose. :func:`given` returns the values that were given for one
configuration.

Every command also has ``--plugin``: plug-ins are loaded before the other options are parsed,
because they add their own options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperOption

from charrnn.cli.parsing import config_file
from charrnn.cli.parsing.dashes import refuse_long_dashes, typed_quotes
from charrnn.cli.parsing.misplaced import of_extra, of_number
from charrnn.cli.parsing.repeated import note_repeated, refuse_repeated
from charrnn.cli.parsing.shared import DEVICE, GENERAL, OUTPUT, PLUGIN, RUN, note, plugin_option
from charrnn.errors import CharRNNError, PluginError, UsageError, in_words, setting
from charrnn.errors import option as flag
from charrnn.options import MODEL, SAVING, TEXT, TRAINING, Option, declared, off
from charrnn.registry import Choice, Registry
from charrnn.settings import Configuration

_GIVEN = "charrnn.given"
_ARGUMENTS = "charrnn.arguments"
_FIELDS = "charrnn_fields"
ARGUMENTS = "Arguments"
_LAST = (TEXT, MODEL, TRAINING, SAVING, RUN, OUTPUT, DEVICE, GENERAL)
"""The headings of help that many commands have, in their order."""

Function = TypeVar("Function", bound=Callable[..., Any])


class DeclaredOption(TyperOption):
    """An option of a declaration, with its valid strings, for completion; none if all are."""

    def __init__(self, valid: tuple[str, ...], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.valid = valid


@dataclass(frozen=True)
class Fields:
    """Dataclass fields that a command exposes as options.

    Attributes
    ----------
    record
        The dataclass. For a :class:`~charrnn.settings.Configuration`, the options of the classes
        that its fields can choose are included.
    names
        The fields; by default all that are declared.
    defaults
        Defaults that help shows instead of the declared ones.
    group
        The heading in help if the declaration has none.
    """

    record: type[Any]
    names: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    group: str = ""

    def options(self) -> list[TyperOption]:
        """Return the command-line options."""
        options = []
        for name, option in declared(self.record).items():
            if self.names and name not in self.names:
                continue
            options.append(self._option(name, {"": option}, self._choices(name, option)))
            registry = self.registries().get(name)
            for own, owners in registry.options().items() if registry else ():
                options.append(
                    self._option(own, {f"{flag(name)} {k}": o for k, o in owners.items()})
                )
        return options

    def given(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the values that belong to the dataclass."""
        if issubclass(self.record, Configuration):
            return {name: value for name, value in values.items() if self.record.knows(name)}
        return {name: value for name, value in values.items() if name in declared(self.record)}

    def registries(self) -> Mapping[str, Registry]:
        """Return the registries that its fields choose from."""
        return self.record.chosen if issubclass(self.record, Configuration) else {}

    def _choices(self, name: str, option: Option) -> tuple[str, ...]:
        registry = self.registries().get(name)
        if registry is None:
            return option.valid
        return tuple(map(_names_of, registry.classes()))

    def _option(
        self, name: str, owners: Mapping[str, Option], choices: tuple[str, ...] = ()
    ) -> TyperOption:
        """Return the option for one declaration, or for several of different owners."""
        option, *_ = owners.values()
        registry = self.registries().get(name)
        valid = option.valid if registry is None else registry.names()
        helps: dict[str, list[str]] = {}
        for owner, each in owners.items():
            text = _help(each, choices or each.valid, self.defaults.get(name))
            helps.setdefault(text, []).extend([owner] if owner else [])
        texts = [f"{' or '.join(o)}: {text}" if o else text for text, o in helps.items()]
        return DeclaredOption(
            valid=valid,
            param_decls=[name, *dict.fromkeys((*option.flags, _switch(name, option)))],
            type=option.kind,
            multiple=option.repeatable,
            is_flag=option.kind is bool,
            default=None,
            metavar=option.metavar,
            help=" ".join(texts),
            callback=partial(_keep, option),
            expose_value=False,
            rich_help_panel=option.group or self.group or None,
        )


def _switch(name: str, option: Option) -> str:
    """Return the flag of an option, and the one that switches it off, as Click declares them."""
    return f"{flag(name)}/{off(flag(name))}" if option.switch else flag(name)


def _names_of(choice: type[Choice]) -> str:
    """Return a class's name, and its aliases in brackets."""
    return f"{choice.name} ({', '.join(choice.aliases)})" if choice.aliases else choice.name


def _help(option: Option, choices: tuple[str, ...], default: str | None) -> str:
    """Return the help of a declaration, with its choices and its default."""
    text = option.help
    if not all(choice in text for choice in choices):
        text = f"{text.removesuffix('.')}: {', '.join(choices)}."
    shown = default or option.shown or option.default
    return text if shown in (None, (), "", False) else f"{text} [default: {shown}]"


def _keep(option: Option, context: typer.Context, param: Any, value: Any) -> None:
    """Keep the value of an option, if it was given."""
    if value is not None and value != ():
        kept = tuple(value) if param.multiple else value
        if isinstance(kept, str):
            kept = option.read(kept)
        context.meta.setdefault(_GIVEN, {})[param.name] = kept


def takes(*declarations: Fields) -> Callable[[Function], Function]:
    """Give the command of a function options that are declared elsewhere."""

    def mark(function: Function) -> Function:
        setattr(function, _FIELDS, declarations)
        return function

    return mark


def given(context: typer.Context, record: type[Any]) -> dict[str, Any]:
    """Return the values given on the command line for the fields of ``record``, by name."""
    values: dict[str, Any] = context.meta.get(_GIVEN, {})
    return Fields(record).given(values)


def forget(context: typer.Context, name: str) -> Any:
    """Return the value given for a field, which then counts as not given."""
    return context.meta[_GIVEN].pop(name)


def typed(context: typer.Context) -> tuple[str, ...]:
    """Return the words of the command line after the command."""
    words: tuple[str, ...] = context.meta[_ARGUMENTS]
    return words


class Command(TyperCommand):
    """A command whose help is in groups, with ``--plugin`` and the options of :func:`takes`."""

    _declared: list[TyperOption] | None = None

    @property
    def fields(self) -> tuple[Fields, ...]:
        """The declarations attached by :func:`takes`."""
        fields: tuple[Fields, ...] = getattr(self.callback, _FIELDS, ())
        return fields

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments, declared options, the function's own, and those of every command."""
        *own, help_option = super().get_params(ctx)
        if self._declared is None:
            self._declared = [option for fields in self.fields for option in fields.options()]
            _refuse_twice([*own, *self._declared])
        first = [param for param in own if param.param_type_name == "argument"]
        rest = [param for param in own if param.param_type_name != "argument"]
        common = [plugin_option()]
        if all(param.name != "config" for param in own):  # which info has for what it prints
            common.insert(0, config_file.config_option())
        return [*first, *self._declared, *rest, *common, help_option]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Load the plug-ins and the file of options that are named, then parse the arguments."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        named = {name: param for param in self.get_params(ctx) for name in names_of(param)}
        refuse_long_dashes(args, named)
        refuse_repeated(args, named)
        wants_help = bool({"-h", "--help"} & set(args))
        if any(arg.startswith((PLUGIN, config_file.FLAG)) for arg in args):
            self._prepare(ctx, list(args), wants_help)
        if self.fields and wants_help:
            self._install_plugins()
        try:
            left = super().parse_args(ctx, list(args))
        except Exception as problem:
            unknown = hasattr(problem, "possibilities")  # an option that does not exist
            if not (unknown and self.fields and self._install_plugins()):
                raise self._explained(ctx, problem) from None
            ctx.meta.pop(_GIVEN, None)
            left = super().parse_args(ctx, list(args))
        config_file.check_stdin(ctx, ctx.params | ctx.meta.get(_GIVEN, {}))
        return left

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error names an option that has several names as the user typed it."""
        try:
            result = super().invoke(ctx)
            note_repeated(typed(ctx), self.get_params(ctx))
            return result
        except CharRNNError as problem:
            names = self._typed(ctx)
            problem.message, problem.remedy = (
                in_words(text, lambda name: setting(names.get(name, name)))
                for text in (problem.message, problem.remedy)
            )
            problem.message = config_file.explained(ctx, problem.message)
            problem.remedy = typed_quotes(typed(ctx), problem) or problem.remedy
            raise

    def _explained(self, ctx: Any, problem: Any) -> Any:
        """Return an error of parsing, which says so if the option stands in a file."""
        file, param = config_file.used(ctx), getattr(problem, "param", None)
        problem.ctx = getattr(problem, "ctx", None) or ctx  # for the help that the line names
        if param is not None and param.name in file.keys:
            problem.message = f"{problem.message.rstrip('.')} (in {file.name})"
        elif advice := typed_quotes(typed(ctx)):
            problem.message = f"{problem.message.rstrip('.')}; {advice}"
        elif hasattr(problem, "possibilities"):
            from charrnn.cli.parsing.habits import explained

            return explained(ctx, self.get_params(ctx), typed(ctx)) or problem
        elif meant := of_number(problem) or of_extra(problem, ctx.command_path, typed(ctx)):
            problem.message = f"{problem.message.rstrip('.')}; {meant}"
        return problem

    def _typed(self, ctx: Any) -> dict[str, str]:
        """Return the names that were typed of options with several names, by parameter."""
        words = {word.partition("=")[0] for word in typed(ctx)}
        words.update(map(flag, config_file.used(ctx).keys.values()))
        return {
            param.name: name.removeprefix("--").replace("-", "_")
            for param in self.get_params(ctx)
            for name in words.intersection(names_of(param) if len(names_of(param)) > 1 else ())
        }

    def _prepare(self, ctx: Any, args: list[str], wants_help: bool) -> None:
        """Load the named plug-ins, whose own options are not known yet, and use the named file."""
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        try:
            values, _, _ = parser.parse_args(args)
        except Exception:  # the arguments are invalid; the real parse reports it
            return
        for source in values.get("plugin") or ():
            from charrnn.plugins import plugin

            plugin(source)
            self._declared = None
        if isinstance(source := values.get("config"), str) and not wants_help:
            file = config_file.read(source)
            try:
                config_file.use(ctx, file, self.get_params(ctx))
            except UsageError:
                if not (self.fields and self._install_plugins()):
                    raise
                config_file.use(ctx, file, self.get_params(ctx))

    def _install_plugins(self) -> bool:
        """Load the installed cells, optimizers and schedules; return whether there were any."""
        registries = [r for fields in self.fields for r in fields.registries().values()]
        before = [registry.names() for registry in registries]
        for registry in registries:
            for problem in registry.install_all():
                note(problem.line(flag))
        self._declared = None
        return before != [registry.names() for registry in registries]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options under the headings of their groups."""
        for heading, params in self.groups(ctx).items():
            records = [param.get_help_record(ctx) for param in params]
            with formatter.section(heading):
                formatter.write_dl([record for record in records if record is not None])

    def groups(self, ctx: Any) -> dict[str, list[Any]]:
        """Return the parameters by the headings of help, in its order.

        That is the arguments, the groups that only few commands have, and the common ones.
        """
        found: dict[str, list[Any]] = {}
        for param in self.get_params(ctx):
            found.setdefault(_heading(param), []).append(param)
        first = [_heading(param) for param in super().get_params(ctx)]
        order = (*(h for h in (*first, *found) if h not in _LAST), *_LAST)
        return {heading: found[heading] for heading in dict.fromkeys(order) if heading in found}


def _heading(param: Any) -> str:
    """Return the heading of a parameter in help; help itself is an option of every command."""
    if param.param_type_name == "argument":
        return ARGUMENTS
    return getattr(param, "rich_help_panel", None) or GENERAL


def _refuse_twice(params: list[Any]) -> None:
    """Raise :class:`PluginError` if two options have one name, as only a plug-in's can."""
    seen: set[str] = {PLUGIN}
    for param in params:
        for name in seen.intersection(names_of(param)):
            raise PluginError(f"a plug-in declares the option {name}, which is taken", "rename it")
        seen.update(names_of(param))


def names_of(param: Any) -> tuple[str, ...]:
    """Return all that can be typed for an option: its names, and what switches it off."""
    return (*param.opts, *param.secondary_opts)


def build(name: str, function: Callable[..., Any]) -> Any:
    """Return the command that runs a function."""
    one = typer.Typer(rich_markup_mode=None, add_completion=False)
    one.command(name, cls=Command)(function)
    return typer.main.get_command(one)
