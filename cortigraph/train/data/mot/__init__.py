"""MOTChallenge folders: boxes of people over the frames of videos, as told and as detectors saw them."""

from cortigraph.train.data.mot.rows import Boxes
from cortigraph.train.data.mot.sequence import MotSequence, read_mot
from cortigraph.train.data.mot.tracking import MotSpec, Tracking, load_mot

__all__ = ["Boxes", "MotSequence", "MotSpec", "Tracking", "load_mot", "read_mot"]
