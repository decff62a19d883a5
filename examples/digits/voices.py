"""Spoken digits from espeak-ng, by ctypes on the library that the wheel `espeakng-loader` brings."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

import espeakng_loader
import numpy as np

SAMPLE_RATE = 22_050
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029")
# Those that speak the same each time: f2, f3 and f5, for instance, breathe at random, whatever seed they are given.
TIMBRES = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f4", "Annie", "linda", "steph", "klatt", "klatt2", "croak",
)  # fmt: skip

_SYNCHRONOUS, _UTF8, _RATE, _PITCH, _RANGE = 2, 1, 1, 3, 4
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Voice:
    """Who speaks: an accent and a timbre. Pitch and pace vary from one utterance to the next."""

    accent: str
    timbre: str

    @property
    def name(self) -> str:
        return f"{self.accent}+{self.timbre}"


def all_voices() -> list[Voice]:
    """Every timbre in every accent, in a fixed order."""
    return [Voice(accent, timbre) for timbre in TIMBRES for accent in ACCENTS]


class Speaker:
    """espeak-ng, kept open for many utterances.

    Example:
        >>> Speaker().say("seven", Voice("en", "f4"), pace=170, pitch=50).dtype
        dtype('float32')
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._pieces: list[np.ndarray] = []
        self._callback = _Callback(self._collect)  # kept alive: the library holds only its address
        data = Path(espeakng_loader.get_data_path()).parent
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), 0) < 0:
            raise RuntimeError(f"espeak-ng could not be started with the data in {data}")
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if samples and count:
            self._pieces.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    def say(self, word: str, voice: Voice, *, pace: int, pitch: int) -> np.ndarray:
        """Speak one word.

        Args:
            pace: Words per minute, 80 to 450.
            pitch: 0 to 99.

        Returns:
            Samples in -1 … 1, float32, at `SAMPLE_RATE`.
        """
        self._pieces.clear()
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice.name!r}")
        for parameter, value in ((_RATE, pace), (_PITCH, pitch), (_RANGE, 50)):
            self._library.espeak_SetParameter(parameter, value, 0)
        text = word.encode()
        self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
        return np.concatenate(self._pieces).astype(np.float32) / 32768.0
