"""Questions at a terminal, with questionary, on stderr: results still go to stdout alone."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from prompt_toolkit import Application
    from prompt_toolkit.key_binding import KeyPressEvent
    from questionary import Question
    from questionary.prompts.common import InquirerControl

    from kitbag_packer.conversation.asking import Option

_LONGEST_LIST = 12
_AROUND_A_LIST = 6
"""Lines that a list leaves to the question, the search and a remark."""
_ESCAPE_PATIENCE = 0.2
"""Seconds after Esc in which a further key would make another one of it."""
_SPINNER = "|/-\\"


class QuestionaryAsker:
    """An :class:`kitbag_packer.conversation.asking.Asker`; a context manager around all of it."""

    def __init__(self) -> None:
        from prompt_toolkit.output import create_output

        self._output = create_output(stdout=sys.stderr)

    def __enter__(self) -> QuestionaryAsker:
        self.tell("Esc or Ctrl-C leaves at any question, and nothing is written.")
        return self

    def __exit__(self, *exc: object) -> None:
        self._output.show_cursor()
        self._output.flush()

    def several(
        self,
        question: str,
        options: Sequence[Option],
        check: Callable[[Sequence[str]], str],
    ) -> list[str]:
        """Any number of ``options``, from a list that can be searched."""
        import questionary

        asked = questionary.checkbox(
            question,
            [
                questionary.Choice(option.title, value=option.value, checked=option.chosen)
                for option in options
            ],
            instruction="(space chooses, Enter ends, typing searches)",
            validate=lambda values: check(values) or True,
            use_search_filter=True,
            use_jk_keys=False,
            output=self._output,
        )
        _fit(asked)
        _mend_search(asked)
        answer: list[str] = self._ask(asked)
        return answer

    def one(self, question: str, options: Sequence[Option]) -> str:
        """Exactly one of ``options``, from a list."""
        import questionary

        asked = questionary.select(
            question,
            [questionary.Choice(option.title, value=option.value) for option in options],
            instruction="(arrow keys, then Enter)",
            output=self._output,
        )
        _fit(asked)
        answer: str = self._ask(asked)
        return answer

    def path(self, question: str, default: str, check: Callable[[str], str]) -> str:
        """A line to type, with completion of paths."""
        import questionary

        asked = questionary.path(
            f"{question} (Tab completes)",
            default=default,
            validate=lambda text: check(text) or True,
            validate_while_typing=False,
            complete_while_typing=False,
            reserve_space_for_menu=4,
            output=self._output,
        )
        answer: str = self._ask(asked)
        return answer

    def confirm(self, question: str, *, default: bool) -> bool:
        """Yes or no, with one key."""
        import questionary

        answer: bool = self._ask(
            questionary.confirm(question, default=default, output=self._output)
        )
        return answer

    def tell(self, text: str) -> None:
        """Show ``text``."""
        encoding = sys.stderr.encoding or "ascii"
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()

    def wait(self, label: str, until: Callable[[float], bool]) -> None:
        """Turn a spinner until there is nothing to wait for."""
        turns = 0
        with self._cleared_line():
            while not until(0.1):
                sys.stderr.write(f"\r{_SPINNER[turns % len(_SPINNER)]} {label} …")
                sys.stderr.flush()
                turns += 1

    @contextlib.contextmanager
    def _cleared_line(self) -> Iterator[None]:
        try:
            yield
        finally:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def _ask(self, asked: Question) -> Any:
        """Ask, with the keys that stop added to those of the question."""
        from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
        from prompt_toolkit.keys import Keys

        bindings = KeyBindings()

        def stop(event: KeyPressEvent) -> None:
            event.app.exit(
                exception=Interrupted("stopped; nothing was written"), style="class:aborting"
            )

        for key in (Keys.ControlC, Keys.ControlD, Keys.ControlQ, Keys.SIGINT):
            bindings.add(key, eager=True)(stop)
        bindings.add(Keys.Escape)(stop)
        application = asked.application
        own = application.key_bindings
        application.key_bindings = merge_key_bindings([*([own] if own else []), bindings])
        application.timeoutlen = _ESCAPE_PATIENCE
        try:
            with _orderly_signals(application):
                return asked.unsafe_ask()
        except EOFError:
            raise Interrupted("the terminal is gone; nothing was written") from None


@contextlib.contextmanager
def _orderly_signals(application: Application[Any]) -> Iterator[None]:
    """Let signals that raise end ``application`` instead of tearing up its event loop."""
    pending: list[Interrupted] = []

    def leave() -> None:
        if application.is_running and not application.is_done:
            application.exit(exception=pending[0], style="class:aborting")

    def handle(number: int, frame: FrameType | None) -> None:
        usual = before[number]
        try:
            if callable(usual):
                usual(number, frame)
        except Interrupted as error:
            if application.loop is None:
                raise
            pending.append(error)
            application.loop.call_soon_threadsafe(leave)

    before = {
        number: signal.getsignal(number)
        for number in (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))
        if number is not None and callable(signal.getsignal(number))
    }
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)
    if pending:
        raise pending[0]


def _list_of(asked: Question) -> tuple[Any, InquirerControl]:
    """The window that shows the list of a question, and the list."""
    from questionary.prompts.common import InquirerControl

    for window in asked.application.layout.find_all_windows():
        if isinstance(window.content, InquirerControl):
            return window, window.content
    raise AssertionError("a question with a list has a window for it")


def _fit(asked: Question) -> None:
    """Let the list be no longer than it has to be, and scroll where the terminal is small."""
    from prompt_toolkit.filters import Always
    from prompt_toolkit.layout.dimension import Dimension

    window, _ = _list_of(asked)

    def height() -> Dimension:
        rows = asked.application.output.get_size().rows
        return Dimension(max=max(3, min(_LONGEST_LIST, rows - _AROUND_A_LIST)))

    window.height = height
    window.dont_extend_height = Always()


def _mend_search(asked: Question) -> None:
    """Choosing ends the search, so that another can follow; Ctrl-U does too; Tab does nothing.

    In a search that finds nothing questionary shows everything, and would choose of that; here it
    is said that there is nothing.
    """
    import string

    from prompt_toolkit.formatted_text import FormattedText
    from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings
    from prompt_toolkit.keys import Keys

    _, options = _list_of(asked)
    bindings = KeyBindings()

    def forget() -> None:
        pointed = options.get_pointed_at()
        options.search_filter = None
        options.error_message = None
        options.pointed_at = options.choices.index(pointed)

    def search(event: KeyPressEvent) -> None:
        options.add_search_character(event.key_sequence[0].key)  # type: ignore[arg-type]
        text = "nothing here has this in it; Ctrl-U ends the search"
        remark = FormattedText([("class:validation-toolbar", text)])
        options.error_message = None if _finds(options) else remark  # type: ignore[assignment]

    for key in (*string.digits, *string.ascii_letters, *string.punctuation, Keys.Backspace):
        bindings.add(key, eager=True)(search)

    @bindings.add(" ", eager=True)
    def choose(event: KeyPressEvent) -> None:
        if not _finds(options):
            return
        value = options.get_pointed_at().value
        if value in options.selected_options:
            options.selected_options.remove(value)
        else:
            options.selected_options.append(value)
        forget()

    @bindings.add(Keys.ControlU, eager=True)
    def clear(event: KeyPressEvent) -> None:
        forget()

    @bindings.add(Keys.ControlI, eager=True)
    def nothing(event: KeyPressEvent) -> None:
        pass

    own = asked.application.key_bindings
    asked.application.key_bindings = merge_key_bindings([*([own] if own else []), bindings])


def _finds(options: InquirerControl) -> bool:
    """Whether anything has what is searched for in it; always so where nothing is."""
    found = options.filtered_choices
    return not options.search_filter or (bool(found) and options.found_in_search)
