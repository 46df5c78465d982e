"""The rules that every zip of a team keeps, whatever the track: codes and remedies.

Each of them refuses the archive as a whole: an archive that breaks one is read differently by different programs, or
costs more than it should, so nothing in it is trusted.
"""

from typing import Final

from aisc.submission.findings import Rule

_REMEDIES: Final[dict[str, str]] = {
    "ZIP_NOT_ZIP": "Send a zip archive; a rar, 7z or tar that was renamed is not one.",
    "ZIP_TRUNCATED": "The file ends too early: make the archive again, or upload it again.",
    "ZIP_TRAILING_DATA": "Make the archive again, and append nothing to it.",
    "ZIP_COMMENT": "Make the archive without a comment (`zip -z` adds one).",
    "ZIP_PREPENDED_DATA": "Make a plain archive: not self-extracting, nothing in front of the first entry.",
    "ZIP_HIDDEN_DATA": "Make the archive again with an ordinary program; leave no bytes between its entries.",
    "ZIP_OVERLAP": "Make the archive again with an ordinary program; every entry needs bytes of its own.",
    "ZIP_MULTI_DISK": "Make one archive that is not split into parts.",
    "ZIP_ZIP64": "Make the archive without zip64 (with `zip`, name the files instead of piping them in).",
    "ZIP_BAD_DIRECTORY": "The archive's list of entries is damaged: make it again, or upload it again.",
    "ZIP_LOCAL_HEADER": "The archive describes an entry twice and differently: make it again.",
    "ZIP_TOO_BIG": "Send what the track asks for and nothing else.",
    "ZIP_TOO_MANY_ENTRIES": "Send what the track asks for and nothing else.",
    "ZIP_ENTRY_TOO_BIG": "Send this file in the size that the track asks for, or leave it out.",
    "ZIP_BOMB": "Send the files as they are; nothing the track asks for shrinks that far.",
    "ZIP_ENCRYPTED": "Make the archive without a password.",
    "ZIP_METHOD": "Use the methods `stored` or `deflate` (plain `zip`, Python's zipfile.ZIP_DEFLATED).",
    "ZIP_FLAGS": "Make the archive again with an ordinary program.",
    "ZIP_SYMLINK": "Put the file itself into the archive, not a link (with `zip`, leave out `-y`).",
    "ZIP_HARD_LINK": "Put the file itself into the archive, not a link.",
    "ZIP_DEVICE": "Put regular files only into the archive.",
    "ZIP_FOLDER": "Zip the files, not their folder: `cd FOLDER && zip ../submission.zip *`.",
    "ZIP_NESTED": "Put the files themselves into the archive, not an archive of them.",
    "ZIP_NAME": "Give the file the plain name that the track asks for.",
    "ZIP_PATH_ESCAPE": "Put the files at the archive's root, without `..` in a name.",
    "ZIP_ABSOLUTE_PATH": "Put the files at the archive's root, without `/` in front.",
    "ZIP_BACKSLASH": "Put the files at the archive's root, without `\\` in a name.",
    "ZIP_DRIVE": "Put the files at the archive's root, without a drive letter.",
    "ZIP_NUL": "Give the file the plain name that the track asks for.",
    "ZIP_CONTROL_CHARACTER": "Give the file the plain name that the track asks for.",
    "ZIP_DUPLICATE": "Put each file into the archive once (`zip -FS` starts afresh).",
    "ZIP_COLLISION": "Use names that differ in more than case or accents' encoding.",
    "ZIP_SIZE_MISMATCH": "The entry's size is not the one declared: make the archive again.",
    "ZIP_CRC": "The entry was damaged on the way: make the archive again, or upload it again.",
    "ZIP_CORRUPT": "The entry's compressed bytes are damaged: make the archive again, or upload it again.",
}

ARCHIVE_RULES: Final[dict[str, Rule]] = {code: Rule(code, "refused", text) for code, text in _REMEDIES.items()}
