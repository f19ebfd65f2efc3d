"""A partner's portal with Authlib. Tells what it did, one JSON object a line; where it asks for an address to be opened, a
person opens it in a browser and pastes the address where it ended.

Environment: ISSUER, API, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, LOGGED_OUT_URI, TENANT.
"""

import json
from os import environ
from urllib.parse import urlencode

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet


def say(did, **more):
    print(json.dumps({"did": did, **more}), flush=True)


def ask(what, about):
    print(json.dumps({"ask": what, "about": about}), flush=True)
    return input()


def refused(attempt):
    try:
        attempt()
    except OAuthError as error:
        return error.error
    raise SystemExit("it was not refused")


def claims(token, algorithm, **expected):
    """The claims of a token that is genuine, in time, and says what is expected."""
    verified = jwt.decode(token, keys, algorithms=[algorithm])
    wanted = {name: {"essential": True, "value": value} for name, value in expected.items()}
    jwt.JWTClaimsRegistry(iss={"essential": True, "value": server["issuer"]}, exp={"essential": True}, **wanted).validate(
        verified.claims
    )
    return verified.claims


server = requests.get(environ["ISSUER"] + "/.well-known/openid-configuration").json()
keys = KeySet.import_key_set(requests.get(server["jwks_uri"]).json())
say("discovery", issuer=server["issuer"])

portal = OAuth2Session(
    environ["CLIENT_ID"],
    environ["CLIENT_SECRET"],
    scope="openid email offline_access partner.tenants.switch_context",
    redirect_uri=environ["REDIRECT_URI"],
    code_challenge_method="S256",
    token_endpoint=server["token_endpoint"],
)

# Login: authorization code with PKCE, state and nonce.
verifier, nonce = generate_token(48), generate_token()
to, state = portal.create_authorization_url(
    server["authorization_endpoint"], code_verifier=verifier, nonce=nonce, prompt="consent"
)
tokens = portal.fetch_token(authorization_response=ask("open", to), state=state, code_verifier=verifier)
id_token = tokens["id_token"]
person = claims(id_token, "RS256", aud=environ["CLIENT_ID"], nonce=nonce)
say("login", sub=person["sub"], acr=person["acr"])
say("userinfo", email=portal.get(server["userinfo_endpoint"]).json()["email"])

tokens = portal.refresh_token(server["token_endpoint"], refresh_token=tokens["refresh_token"])
say("refresh", sub=claims(tokens["id_token"], "RS256", aud=environ["CLIENT_ID"])["sub"])


def exchange(tenant):
    """Into a customer's tenant (RFC 8693)."""
    # A session of its own: Authlib keeps the last token as the session's.
    other = OAuth2Session(environ["CLIENT_ID"], environ["CLIENT_SECRET"])
    return other.fetch_token(
        server["token_endpoint"],
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=tokens["access_token"],
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        tenant_id=tenant,
        scope="partner.billing.read",
    )


say("nowhere", error=refused(lambda: exchange("no-such-tenant")))
delegated = exchange(environ["TENANT"])
token = claims(delegated["access_token"], "ES256", aud=environ["API"])
say("exchange", tenant=delegated["tenant"], actor=token["act"]["sub"], actor_tenant=token["audit_actor_tenant"])
billing = environ["API"] + "/api/v1/partner/billing/summary"
authorization = {"Authorization": "Bearer " + delegated["access_token"]}
say("call", status=requests.get(billing, headers=authorization).status_code)

# Logout (OpenID Connect RP-Initiated Logout): back here, and nothing goes on.
parameters = {"id_token_hint": id_token, "post_logout_redirect_uri": environ["LOGGED_OUT_URI"], "state": "some state"}
end = ask("open", server["end_session_endpoint"] + "?" + urlencode(parameters))
say("logout", to=end)
again = tokens["refresh_token"]
say("refresh after logout", error=refused(lambda: portal.refresh_token(server["token_endpoint"], refresh_token=again)))
