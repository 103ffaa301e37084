"""Validates the manifests: Kubernetes' own kinds against its published schemas, those of VolSync against volsync.yaml.

Prints a line for each document, and how many are right.
"""

import collections
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

FOLDER = pathlib.Path(__file__).parent
IMAGE = "registry.example.com/kopia-rs:"
# What restoring owners takes, of a Job that runs as root for that alone.
OWNERS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"]
# v1beta1 of the policies left the schemas with 1.37.
VERSIONS = {"admissionregistration.k8s.io/v1beta1": "1.35"}
VOLSYNC = yaml.safe_load((FOLDER / "volsync.yaml").read_text())


class Strict(yaml.SafeLoader):
    """Refuses keys that stand twice in one mapping: the later one would win without a word."""


def mapping(loader, node, deep=False):
    keys = collections.Counter(key.value for key, _ in node.value)
    doubled = [key for key, count in keys.items() if count > 1]
    if doubled:
        raise yaml.YAMLError(f"{node.start_mark}: doubled: {doubled}")
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda loader, node: mapping(loader, node, True))


def pod_problems(job, is_ours):
    """What every pod that runs our image must have, which no schema says. How far one of VolSync's own Jobs is locked down, and
    how much memory it gets, its controller decides."""
    spec = job["spec"]["template"]["spec"]
    if not spec["containers"][0]["image"].startswith(IMAGE):
        return
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    allowed = [{"drop": ["ALL"]}]
    if spec.get("securityContext", {}).get("runAsUser") == 0:
        allowed.append({"drop": ["ALL"], "add": OWNERS})
    for container in spec["containers"]:
        security = container.get("securityContext", {})
        if security.get("readOnlyRootFilesystem") is not True:
            yield "a container can write in its image"
        if is_ours and security.get("capabilities") not in allowed:
            yield "a container is not locked down"
        if is_ours and container.get("resources", {}).get("limits") != {"memory": "256Mi"}:
            yield "a container has another limit than 256Mi of memory"
        for mount in container.get("volumeMounts", []) + container.get("volumeDevices", []):
            if mount["name"] not in volumes:
                yield f"no volume {mount['name']}"
            if mount["name"] == "repository" and mount.get("readOnly") is not True:
                yield "the repository can be written"


def validate(document, is_ours):
    if document["apiVersion"].startswith("volsync.backube/"):
        validator = jsonschema.Draft202012Validator(VOLSYNC, format_checker=jsonschema.FormatChecker())
        error = jsonschema.exceptions.best_match(validator.iter_errors(document))
        if error:
            raise error
        return
    version = VERSIONS.get(document["apiVersion"], "1.37")
    kubernetes_validate.validate(document, version, strict=True)
    if document["kind"] == "Job":
        problems = list(pod_problems(document, is_ours))
        if problems:
            raise ValueError("; ".join(problems))


def main(files):
    passed = failed = 0
    for file in files:
        is_ours = "test" not in pathlib.Path(file).parts
        documents = list(yaml.load_all(pathlib.Path(file).read_text(), Strict))
        if not documents:
            print(f"{file}: EMPTY")
            failed += 1
        for document in documents:
            name = f"{file}: {document.get('kind')} {document['metadata'].get('name', '')}"
            try:
                validate(document, is_ours)
            except Exception as error:  # Whatever a validator says is a finding.
                # A schema's error shows the whole schema and document otherwise.
                where = getattr(error, "json_path", "")
                print(f"{name}: FAILED: {where} {getattr(error, 'message', error)}")
                failed += 1
            else:
                print(f"{name}: ok")
                passed += 1
    print(f"{passed} {failed}")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
