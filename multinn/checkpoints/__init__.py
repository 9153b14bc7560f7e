"""Checkpoints: a run on disk, to go on with later, in another process or on another backend."""

from multinn.checkpoints.atomic import PathLike as PathLike
from multinn.checkpoints.content import Owner as Owner
from multinn.checkpoints.content import Progress as Progress
from multinn.checkpoints.content import invalid as invalid
from multinn.checkpoints.content import load as load
from multinn.checkpoints.content import load_owned as load_owned
from multinn.checkpoints.content import load_progress as load_progress
from multinn.checkpoints.content import save as save
