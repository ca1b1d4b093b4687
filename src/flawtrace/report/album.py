"""Pictures in full size, in a folder beside the page that shows them small."""

import hashlib
import io
from pathlib import Path

from PIL import Image as Pillow

from flawtrace.ground.files import write_bytes
from flawtrace.ground.shapes import Image
from flawtrace.pictures.images import as_picture

ALBUM_NAME = "report-pictures"
PAGES = "report*.html"
"""Pages that may show pictures of the album: the newest report, and those that were kept."""


class Album:
    """The folder of one run's reports; a picture is named by its content, so that it serves several."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def add(self, image: Image) -> str:
        """Keep the picture; returns its address, seen from the page."""
        buffer = io.BytesIO()
        Pillow.fromarray(as_picture(image).cpu().numpy()).save(buffer, "JPEG", quality=88, subsampling=0)
        content = buffer.getvalue()
        address = f"{ALBUM_NAME}/{hashlib.sha256(content).hexdigest()[:16]}.jpg"
        if not (self._run / address).exists():
            write_bytes(self._run / address, content)
        return address

    def clear(self) -> None:
        """Delete pictures that no report shows any more."""
        folder = self._run / ALBUM_NAME
        pages = [page.read_text(encoding="utf-8") for page in sorted(self._run.glob(PAGES))]
        for picture in sorted(folder.glob("*.jpg")):
            if not any(picture.name in page for page in pages):
                picture.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
