"""Checkpoints: files from which training continues, in another process or on another backend."""

from multinn.host.paths import PathLike as PathLike
from multinn.training.checkpoints.content import Owner as Owner
from multinn.training.checkpoints.content import Progress as Progress
from multinn.training.checkpoints.content import describe as describe
from multinn.training.checkpoints.content import invalid_content as invalid_content
from multinn.training.checkpoints.content import load as load
from multinn.training.checkpoints.content import load_owned as load_owned
from multinn.training.checkpoints.content import load_progress as load_progress
from multinn.training.checkpoints.content import save as save
from multinn.training.checkpoints.file import check_writable as check_writable
from multinn.training.checkpoints.state import with_current_entries as with_current_entries
