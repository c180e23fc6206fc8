"""Dockerfiles that can be built without Windows: everything but RUN, with BuildKit's results.

In reading order:

    parse      instructions, words and variables, by BuildKit's grammar
    json_form  JSON arrays that are not valid
    stages     what stands between one FROM and the next, and which stages are needed
    paths      paths as BuildKit reads them for Windows
    patterns   one pattern of .dockerignore
    ignore     .dockerignore and --exclude
    environment    variables in the registry of a base
    running    ENV, CMD, USER ...: the config and its history
    sources    where COPY and ADD take files from: a folder, an archive, an image, a stage
    copying    COPY and ADD become rules of the builder
    build      all stages of one build, up to the image

May import `builder`, `images`, `layers` and what lies below them; not `operations` or `verify`.
"""
