"""How flodgatt_tx is built and installed; see README.md for how to use it."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
ABOUT: dict[str, str] = {}
exec((HERE / "flodgatt_tx" / "_version.py").read_text(), ABOUT)

SERVER = [
    "ahocorasick-rs >= 0.22",
    "autobahn >= 24.4",
    "certifi >= 2024.2.2",
    "hiredis >= 2.3",
    "idna >= 3.7",
    "lxml >= 5.4",
    "msgspec >= 0.19",
    "orjson >= 3.10",
    "prometheus-client >= 0.20",
    "psycopg2-binary >= 2.9.9",
    "pyopenssl >= 24",
    "regex >= 2024.5",
    "service-identity >= 24",
    "twisted >= 24.7",
    "txpostgres >= 1.7",
    "txredisapi >= 1.4.10",
    "typing_extensions >= 4.12",
]
TESTS = [
    "Mastodon.py >= 2.2",
    "coverage[toml] >= 7.4",
    "cryptography >= 42",
    "hypothesis >= 6.100",
    "mypy >= 1.15",
    "mypy-zope >= 1.0.9",
    "playwright >= 1.44",
    "ruff >= 0.9",
    "types-psycopg2",
    "types-setuptools",
    "websockets >= 13",
]

setup(
    name="flodgatt-tx",
    version=ABOUT["__version__"],
    description="A streaming server for Mastodon, on Twisted",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="AGPL-3.0-or-later",
    python_requires=">= 3.11",
    entry_points={"console_scripts": ["flodgatt-load = flodgatt_tx.load.__main__:main"]},
    packages=[*find_packages(include=["flodgatt_tx", "flodgatt_tx.*"]), "twisted.plugins"],
    package_data={
        "flodgatt_tx": ["py.typed"],
        "flodgatt_tx.demo": ["*.sql"],
        "flodgatt_tx.admin": ["static/*"],
    },
    install_requires=SERVER,
    extras_require={
        "test": TESTS,
        "fuzz": [*TESTS, "atheris >= 2.3.0"],
        "bench": ["matplotlib >= 3.8"],
        "docs": ["furo >= 2024.8", "myst-parser >= 4", "sphinx >= 8.2"],
    },
)
