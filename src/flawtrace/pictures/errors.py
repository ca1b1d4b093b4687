"""What can be wrong with one image file, and with the tiles of a large one."""

from pathlib import Path

from flawtrace.ground.errors import FlawtraceError

_OTHERS = (
    (b"GIF8", 0, "a GIF"),
    (b"%PDF", 0, "a PDF"),
    (b"ftyp", 4, "HEIC, AVIF or a film"),
    (b"PK", 0, "a zip archive, or weights of PyTorch"),
    (b"{", 8, "a detector, or other weights"),
)
"""What files begin with that are no pictures we read, at which byte."""


class ImageError(FlawtraceError):
    """Something about one image file."""


class UnreadableImageError(ImageError):
    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            f"Cannot read {path}: {cause}.\n"
            "Expected a complete PNG, JPEG, WebP, BMP or TIFF file.\n"
            "Save the image again as PNG, or remove the file from the folder."
        )


class NotOpenedError(UnreadableImageError):
    def __init__(self, path: Path, cause: str) -> None:
        ImageError.__init__(
            self,
            f"Cannot open {path}: {cause}.\n"
            "Expected an image file that you may read.\n"
            "Check the path, and who may read the file.",
        )


class NotAnImageError(UnreadableImageError):
    """Of a file that begins so."""

    def __init__(self, path: Path, start: bytes) -> None:
        looks = [what for magic, place, what in _OTHERS if start[place:].startswith(magic)]
        text = "it is text" if start.isascii() and b"\0" not in start else "its content is in another format"
        found = f"it looks like {looks[0]}" if looks else text
        ImageError.__init__(
            self,
            f"{path} is no image of a format that is read: {found}.\n"
            "Expected a PNG, JPEG, WebP, BMP or TIFF file.\n"
            "Check the path and the order of the paths; save pictures of other formats as PNG.",
        )


class UnsupportedPixelsError(ImageError):
    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"Unsupported pixel format in {path}: {found}.\n"
            "Expected grey or colour with 1, 8 or 16 bits per channel, or a float32 TIFF.\n"
            "Save the image again as 8-bit or 16-bit PNG."
        )


class ValueRangeError(ImageError):
    def __init__(self, path: Path, low: float, high: float) -> None:
        super().__init__(
            f"The pixel values of {path} range from {low:g} to {high:g}.\n"
            "Expected finite values from 0 (black) to 1 (white) in a floating-point image.\n"
            "Divide the values by the camera's maximum value, the same for all images."
        )


class SeveralPagesError(ImageError):
    def __init__(self, path: Path, pages: int) -> None:
        super().__init__(
            f"{path} contains {pages} images (pages or frames).\n"
            "Expected one image per file.\n"
            "Save each of them as a separate file."
        )


class ImageTooSmallError(ImageError):
    def __init__(self, path: Path, height: int, width: int, limit: int) -> None:
        super().__init__(
            f"{path} is {width} x {height} pixels (width x height).\n"
            f"Expected at least {limit} on each side.\n"
            "Capture the image at a higher resolution, or remove the file from the folder."
        )


class ImageTooLargeError(ImageError):
    def __init__(self, path: Path, height: int, width: int, limit: int) -> None:
        super().__init__(
            f"{path} is {width} x {height} = {width * height:,} pixels (width x height).\n"
            f"Expected at most {limit:,} pixels.\n"
            "Cut the image into smaller ones, or reduce its size."
        )


class NotAPictureError(ImageError):
    def __init__(self, found: str, way_out: str) -> None:
        super().__init__(
            f"Not a picture that can be looked at: {found}.\n"
            "Expected a path, a picture of Pillow, or a NumPy array or tensor with axes (height, width), "
            "(height, width, channels) or (channels, height, width) and 1, 3 or 4 channels: "
            "uint8, uint16, or floats from 0 to 1.\n"
            f"{way_out}"
        )


class NotPicturesError(ImageError):
    def __init__(self, found: str) -> None:
        super().__init__(
            f"Not several pictures: {found}.\n"
            "Expected a list of pictures, or an array with one axis more than a picture.\n"
            "Use `predict` for one picture, or put it into a list."
        )


class NotAFileError(ImageError):
    def __init__(self, found: str) -> None:
        super().__init__(
            f"Not an image file, nor a folder of them: {found}.\n"
            "Expected paths.\n"
            "Pictures that a program holds are for `flawtrace.load(run).predict(picture)`."
        )


class TilesTooSmallError(FlawtraceError):
    def __init__(self, tile_side: int, size: tuple[int, int], enlarged: tuple[int, int], limit: int) -> None:
        super().__init__(
            f"With tiles of {tile_side} pixels, an image of {size[1]} x {size[0]} pixels is enlarged to "
            f"{enlarged[1]:,} x {enlarged[0]:,} pixels.\n"
            f"Expected at most {limit:,} pixels in all.\n"
            "Use larger tiles (--tile-side)."
        )


class UnknownTextureError(FlawtraceError):
    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"No texture is called {name!r}.\n"
            f"Expected one of: {', '.join(known)}.\n"
            "These textures come with scikit-image."
        )


class TwoMeaningsError(ImageError):
    def __init__(self, path: Path, values: list[int]) -> None:
        super().__init__(
            f"The mask {path} has the values {', '.join(map(str, values))} besides 0: are these classes "
            "and 255 for pixels to ignore, or shades of grey?\n"
            "Expected one value for the defect, or numbers of classes.\n"
            "Where 255 means ignore, read it with `flawtrace labels import --format voc`; otherwise paint "
            "defects with 255 alone."
        )
