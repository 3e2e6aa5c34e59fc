"""The EXIF block of the formats that have no other place for words: what made the file, and how."""

from PIL import Image

from hdr_files.job import Job

_IMAGE_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131


def describe(job: Job) -> Image.Exif:
    """Return Software and, as ImageDescription, Job.notes()."""
    exif = Image.Exif()
    exif[_SOFTWARE] = job.options.software
    exif[_IMAGE_DESCRIPTION] = job.notes()
    return exif


def tiff_block(exif: Image.Exif) -> bytes:
    """Return the block from its TIFF header on, without the "Exif" marker that only JPEG wants."""
    return exif.tobytes().removeprefix(b"Exif\0\0")
