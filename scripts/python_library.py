"""Fails unless this Python can be embedded: its shared library and the name that linkers look for must be there."""

import sys
import sysconfig
from pathlib import Path


def main() -> int:
    """Looks where the interpreter says that its library is."""
    names = (sysconfig.get_config_var("LDLIBRARY"), sysconfig.get_config_var("INSTSONAME"))
    folders = (sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL"))
    found = any((Path(str(folder)) / str(names[0])).exists() for folder in folders if folder)
    return 0 if sysconfig.get_config_var("Py_ENABLE_SHARED") and names[0] and found else 1


if __name__ == "__main__":
    sys.exit(main())
