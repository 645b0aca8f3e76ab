"""Builds the optional native accelerator; everything else stands in pyproject.toml.

Without a C compiler (or Cython) the build goes on and the pure-Python twin is used.
"""

from setuptools import Extension, setup

EXTENSIONS = [
    Extension(
        "ottla.records._native",
        ["src/ottla/records/_native.pyx"],
        depends=[
            "src/ottla/records/_native_format.pxi",
            "src/ottla/records/_native_walk.pxi",
            "src/ottla/records/_native_encode.pxi",
            "src/ottla/records/_native_compaction.pxi",
            "src/ottla/records/_crc32c.h",
        ],
        extra_compile_args=["-O3"],
    ),
    Extension(
        "ottla.broker._native_sending",
        ["src/ottla/broker/_native_sending.pyx"],
        depends=["src/ottla/broker/_native_sending.h"],
        include_dirs=["src/ottla/broker"],
        extra_compile_args=["-O3"],
    ),
    Extension(
        "ottla.client._native_io",
        ["src/ottla/client/_native_io.pyx"],
        depends=["src/ottla/client/_native_io.pxd", "src/ottla/client/_native_io.h"],
        include_dirs=["src/ottla/client"],
        extra_compile_args=["-O3"],
    ),
    Extension(
        "ottla.client._native",
        ["src/ottla/client/_native.pyx"],
        depends=[
            "src/ottla/records/_native_format.pxi",
            "src/ottla/records/_native_walk.pxi",
            "src/ottla/client/_native_message.pxi",
            "src/ottla/client/_native_partitioners.pxi",
            "src/ottla/client/_native_future.pxi",
            "src/ottla/client/_native_batch.pxi",
            "src/ottla/client/_native_accumulator.pxi",
            "src/ottla/client/_native_producer.pxi",
            "src/ottla/client/_native_rows.pxi",
            "src/ottla/client/_native_cursor.pxi",
            "src/ottla/client/_native_columns.pxi",
            "src/ottla/client/_native_lines.pxi",
            "src/ottla/client/_native_consumer.pxi",
            "src/ottla/client/_native_io.pxd",
            "src/ottla/client/_native_clock.h",
            "src/ottla/client/_native_pause.h",
            "src/ottla/records/_crc32c.h",
        ],
        include_dirs=["src/ottla/client", "src/ottla/records"],
        extra_compile_args=["-O3"],
    ),
]

try:
    from Cython.Build import cythonize
except ImportError:
    modules = []
else:
    modules = cythonize(EXTENSIONS, language_level=3, build_dir="build/cython")
    for module in modules:
        module.optional = True  # set here because cythonize would drop it

setup(ext_modules=modules)
