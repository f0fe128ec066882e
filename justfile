# Short names for the commands of the README. `just` alone lists them.

_list:
    @just --list

# Everything that must hold before a change goes in.
test *arguments:
    scripts/test {{arguments}}

# The tests alone, on both engines.
quick *arguments:
    scripts/test --quick {{arguments}}

# The table of figures beside their bare limits (docs/PERFORMANCE.md).
bench *arguments:
    cargo bench -- {{arguments}}

# A shell with a PostgreSQL cluster for tests in TEST_PG_URL.
postgres:
    scripts/postgres "${SHELL:-bash}"

# Formats the code.
format:
    cargo fmt --all
