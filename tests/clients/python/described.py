"""Whether the server is as its own description says: schemathesis makes requests out of the document, good ones and bad
ones, and each is sent as everybody. Every answer has a described status, content type, headers and shape, and none is a
failure of the server's. Tells what it found, one JSON object a line.

Environment: ISSUER; CALLERS, a JSON object of `Authorization` by caller (empty: none); KNOWN, one of ids by the name of the
operation whose path they complete; EXAMPLES, how many requests of each kind; WITNESS, the name of an operation whose answer of
200 is struck out of the document first, so that there is something to find; then no other is tried.
"""

import json
from collections import Counter
from os import environ
from tempfile import TemporaryDirectory

# Where hypothesis keeps what it has seen; it asks for it when it is imported.
FOLDER = TemporaryDirectory()
environ["HYPOTHESIS_STORAGE_DIRECTORY"] = FOLDER.name

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

# What would end the test itself.
LEFT_OUT = {
    "followRevocations": "its answer does not end",
}

# Of these something good comes, whatever is made up: to look at refusals alone is little. Not of those that need a good
# body, or another state than what was made up before them has left.
REACHED = """
declineAccessRequest deleteClient deletePolicy deleteTrust disableClient enableClient endApiKey endInitialAccessToken
getAccessRequest getClient getHealth getKeys getMetadata getOpenApi getPartnerAccess getPolicy getQuotas
getRelationship getResourceMetadata getResourceServer getRevocations getUserinfo isLive isReady listAccessRequests
listApiKeys listAppliedPolicies listAuditLogs listBreakGlassCodes listClients listConsents listCustomers
listDelegationsIn listDelegationsOf listIdentityProviders listInitialAccessTokens listManagedTenants
listManagingTenants listPartnerActivity listPolicies listResourceServers listReviews listUsage listUsers listVersions
logOut logOutByPost makeBreakGlassCodes postUserinfo putTrust
""".split()

CALLERS = json.loads(environ["CALLERS"])
KNOWN = json.loads(environ["KNOWN"])
EXAMPLES = int(environ["EXAMPLES"])


def say(did, **more):
    print(json.dumps({"did": did, **more}), flush=True)


counts = Counter()
faults = {}
well = set()


def attempt(operation, mode):
    """Sends what can be made of one operation, as everybody."""
    turn = 0

    @seed(7)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def everybody(case):
        nonlocal turn
        turn += 1
        ids = KNOWN.get(operation.definition.raw["operationId"])
        if ids and turn % 3:
            # A path of noise is noise, whoever asks.
            case.path_parameters = dict(zip(case.path_parameters, ids))
        for caller, authorization in CALLERS.items():
            headers = dict(case.headers or {})
            headers.pop("Authorization", None)
            if authorization:
                headers["Authorization"] = authorization
            case.headers = headers
            response = case.call(allow_redirects=False)
            counts[f"{caller} {response.status_code}"] += 1
            if response.status_code < 400:
                well.add(operation.definition.raw["operationId"])
            try:
                case.validate_response(response, checks=CHECKS)
            except (Failure, FailureGroup) as found:
                about = f"{operation.label} as {caller}: {response.status_code}"
                faults.setdefault(about, f"{found}\n{response.text[:500]}\n{case.as_curl_command()[:900]}")

    everybody()


WITNESS = environ.get("WITNESS")

document = requests.get(environ["ISSUER"] + "/api/openapi.json", timeout=10).json()
for path in document["paths"].values():
    for one in path.values():
        if one["operationId"] == WITNESS:
            del one["responses"]["200"]
schema = schemathesis.openapi.from_dict(document)
schema.config.update(base_url=environ["ISSUER"])
tried = 0
for found in schema.get_all_operations():
    operation = found.ok()
    name = operation.definition.raw["operationId"]
    if name in LEFT_OUT or WITNESS not in ("", None, name):
        continue
    tried += 1
    say("try", operation=name)
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        try:
            attempt(operation, mode)
        except Exception as why:
            # There is nothing bad to say to an operation that reads nothing.
            if "Unsatisfiable" not in type(why).__name__:
                raise
for about, what in faults.items():
    say("fault", about=about, what=what)
say("end", operations=tried, answers=dict(counts), never=sorted(set(REACHED) - well))
