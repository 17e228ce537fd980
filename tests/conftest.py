"""Where the fixtures are; each topic has its own module."""

pytest_plugins = [
    "fixtures.http_api",
    "fixtures.postgres",
    "fixtures.physical",
    "fixtures.s3",
    "fixtures.debian_postgres",
    "fixtures.holdfast",
    "fixtures.attached",
    "fixtures.official",
    "fixtures.queues",
    "fixtures.catalogs",
    "fixtures.timetables",
    "fixtures.keeping",
]
