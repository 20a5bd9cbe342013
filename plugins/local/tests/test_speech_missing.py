"""What is left without the speech extra: None where there is a choice, and an error that says what to install."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run(program: str) -> str:
    """Run `program` where neither espeak-ng nor pocketsphinx can be imported."""
    hidden = """
        import sys
        from importlib.abc import MetaPathFinder

        class Hidden(MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name in ("espeakng_loader", "pocketsphinx"):
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)
                return None

        import importlib.util
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, package=None: (
            None if name in ("espeakng_loader", "pocketsphinx") else real(name, package)
        )
        sys.meta_path.insert(0, Hidden())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(hidden) + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_defaults_are_none() -> None:
    assert (
        run("""
            from jackfield_local.speech import default_recognizer, default_synthesizer
            print(default_recognizer(), default_synthesizer())
        """)
        == "None None\n"
    )


def test_asking_for_them_names_the_extra() -> None:
    told = run("""
        from jackfield_local.speech import speak_to_pcm
        from jackfield_local.speech.espeak import EspeakError
        from jackfield_local.speech.sphinx import SphinxError, SphinxRecognizer
        for call, error in ((lambda: speak_to_pcm("hi"), EspeakError), (SphinxRecognizer, SphinxError)):
            try:
                call()
            except error as raised:
                print(raised)
    """)
    assert told.count("pip install 'jackfield-local[speech]'") == 2


def test_the_responder_needs_neither() -> None:
    assert (
        run("""
            import asyncio
            from jackfield_local import ResponseContext
            from jackfield_local.responders import RuleResponder
            said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "thank you"}]}
            print(asyncio.run(RuleResponder().respond(ResponseContext("", [], "auto", [said])))[0].text)
        """)
        == "You are welcome.\n"
    )


def test_importing_speech_loads_nothing_heavy() -> None:
    assert (
        run("""
            import sys
            import jackfield_local.speech
            print([name for name in ("numpy", "pocketsphinx", "espeakng_loader", "rapidfuzz") if name in sys.modules])
        """)
        == "[]\n"
    )
