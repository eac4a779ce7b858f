#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""results/schema.json describes the files there are, and agrees with what lint asks for.

test_schema.py TOOL SCHEMA [FILE...]   FILEs are result files to validate besides data/.
"""
import copy
import glob
import json
import os
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("no jsonschema: install it; on Debian: apt install python3-jsonschema")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data")
OTHERS = {str: 5, int: "5", float: "5", bool: "yes", type(None): {"a": 1}, list: 5,
          dict: 5}


def validators(schema, closed):
    """One a line type; `closed` ones take no field that the schema does not describe."""
    schema = copy.deepcopy(schema)

    def close(node):
        if isinstance(node, dict):
            if "properties" in node:
                node.setdefault("additionalProperties", False)
            for value in node.values():
                close(value)
        elif isinstance(node, list):
            for value in node:
                close(value)

    if closed:
        close(schema)
    return {t: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{t}",
                                                "$defs": schema["$defs"]})
            for t in ("header", "case", "resume", "end")}


def lines_of(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def check_files(schema, files):
    bad = {}
    closed = validators(schema, closed=True)
    for path in files:
        for number, line in enumerate(lines_of(path), 1):
            for error in closed[line["type"]].iter_errors(line):
                where = ".".join("[]" if isinstance(p, int) else p
                                 for p in error.absolute_path)
                bad.setdefault(f"{where}: {error.message[:200]}", f"{path}:{number}")
    for message, place in bad.items():  # each once: it is the same on every line
        print(f"{place}: {message}")
    return len(bad)


def mutants(value, path=()):
    """(path, what, mutant) for every field of an object: left out, and mistyped."""
    items = value.items() if isinstance(value, dict) else \
        list(enumerate(value))[:1] if isinstance(value, list) else []
    for key, child in items:
        if isinstance(value, dict):
            yield path + (key,), "missing", {k: v for k, v in value.items() if k != key}
        other = copy.copy(value)
        other[key] = OTHERS[type(child)]
        yield path + (key,), "mistyped", other
        for sub_path, what, mutant in mutants(child, path + (key,)):
            other = copy.copy(value)
            other[key] = mutant
            yield sub_path, what, other


def shape_findings(tool, files):
    """{(file, line)} of lint's findings on the shape of lines."""
    done = subprocess.run([tool, "lint-json", "80", *files], stdout=subprocess.PIPE,
                          timeout=120, check=False)
    return {(f["file"], f["line"]) for f in json.loads(done.stdout)["findings"]
            if f["kind"] in ("shape", "unreadable")}


def check_agreement(tool, schema, folder):
    """The schema refuses what lint calls misshapen; lint asks for what it asks for."""
    header, *rest = lines_of(os.path.join(DATA, "good.jsonl"))
    case, end = rest[0], rest[-1]
    strict = validators(schema, closed=False)
    tried, files = [], []

    def write(name, lines):
        files.append(os.path.join(folder, name))
        with open(files[-1], "w", encoding="utf-8") as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)
        return files[-1]

    cases = list(mutants(case))
    path = write("cases.jsonl", [header] + [m for _, _, m in cases])
    for number, (field, what, mutant) in enumerate(cases, 2):
        if field != ("type",):
            tried.append((path, number, "case", field, what, mutant))
    for n, (field, what, mutant) in enumerate(mutants(header)):
        if field not in (("schema",), ("type",)):
            path = write(f"header{n}.jsonl", [mutant, end])
            tried.append((path, 1, "header", field, what, mutant))
    for n, (field, what, mutant) in enumerate(mutants(end)):
        if field != ("type",):
            path = write(f"end{n}.jsonl", [header, mutant])
            tried.append((path, 2, "end", field, what, mutant))
    found = shape_findings(tool, files)
    bad = 0
    for path, number, kind, field, what, mutant in tried:
        refused = not strict[kind].is_valid(mutant)
        told = (path, number) in found
        if told and not refused or (refused and not told and what == "missing"):
            bad += 1
            print(f"{kind} {'.'.join(map(str, field))} {what}:",
                  "the schema refuses it," if refused else "the schema takes it,",
                  "lint tells" if told else "lint does not")
    print(f"{len(tried)} mutants of lines, {bad} where lint and schema differ")
    return bad


if __name__ == "__main__":
    tool, schema_path, *files = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    files += [os.path.join(DATA, f"{name}.jsonl") for name in ("good", "check", "other")]
    files += glob.glob(os.path.join(os.path.dirname(schema_path), "*", "*.jsonl"))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(1 if check_files(schema, files) + check_agreement(tool, schema, folder)
                 else 0)
