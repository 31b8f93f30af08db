import subprocess
import sys

import conv2d.data


def test_every_public_name_is_there():
    assert sorted(set(conv2d.data.__all__)) == sorted(conv2d.data.__all__)
    for name in conv2d.data.__all__:
        assert hasattr(conv2d.data, name)


def test_importing_the_wheel_loads_neither_polars_nor_scipy():
    code = "import sys, conv2d.data; sys.exit(any(m in sys.modules for m in ('polars', 'scipy', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
