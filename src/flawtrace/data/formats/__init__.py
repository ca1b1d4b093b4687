"""Labels as other programs write them: one file for each format, which reads and writes it.

A file or folder enters, and a folder that training reads leaves (`import_plain`), or the other way round
(`export_folder`). A format says what a program says of each image (`entries`), or writes that (`files`); what
it means for pixels is the same for all (`reading`).
"""

from flawtrace.data.formats.errors import LabelError, UnknownFormatError
from flawtrace.data.formats.exporting import Exported, export_folder
from flawtrace.data.formats.importing import LINE_WIDTH, Counting, Imported, Manner, import_plain
from flawtrace.data.formats.recognition import OF_FILES, READERS, WRITERS, guesses, recognise

__all__ = [
    "LINE_WIDTH",
    "OF_FILES",
    "READERS",
    "WRITERS",
    "Counting",
    "Exported",
    "Imported",
    "LabelError",
    "Manner",
    "UnknownFormatError",
    "export_folder",
    "guesses",
    "import_plain",
    "recognise",
]
