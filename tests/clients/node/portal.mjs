// A partner's portal with openid-client and jose. It knows the address of an API and its own registration; all else
// it finds. Environment: API, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, LOGGED_OUT_URI, TENANT.
import * as jose from 'jose'
import * as client from 'openid-client'
import { ask, refused, say } from './terminal.mjs'

const { API, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, LOGGED_OUT_URI, TENANT } = process.env
const billing = (token) =>
  fetch(`${API}/api/v1/partner/billing/summary`, token && { headers: { Authorization: `Bearer ${token}` } })

// From the API to its issuer (RFC 9728).
const challenge = (await billing()).headers.get('www-authenticate')
const resource = await (await fetch(challenge.match(/resource_metadata="([^"]+)"/)[1])).json()
say('resource', { resource: resource.resource, scopes: resource.scopes_supported })

const config = await client.discovery(
  new URL(resource.authorization_servers[0]),
  CLIENT_ID,
  {},
  client.ClientSecretBasic(CLIENT_SECRET),
  // Plain http is for a server on the same machine alone. ID tokens are verified by their signature too.
  { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] },
)
const server = config.serverMetadata()
say('discovery', { issuer: server.issuer })

// Login: authorization code with PKCE, state and nonce.
const pkceCodeVerifier = client.randomPKCECodeVerifier()
const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()]
const to = client.buildAuthorizationUrl(config, {
  redirect_uri: REDIRECT_URI,
  scope: 'openid email offline_access partner.tenants.switch_context',
  prompt: 'consent',
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
  state: expectedState,
  nonce: expectedNonce,
})
const back = new URL(await ask('open', to))
let tokens = await client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, expectedNonce })
const { sub, acr } = tokens.claims()
say('login', { sub, acr, token_type: tokens.token_type })
const { email } = await client.fetchUserInfo(config, tokens.access_token, sub)
say('userinfo', { email })

const idToken = tokens.id_token
tokens = await client.refreshTokenGrant(config, tokens.refresh_token)
say('refresh', { sub: tokens.claims().sub })

// Into a customer's tenant (RFC 8693).
const exchange = (tenant) =>
  client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: tokens.access_token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    tenant_id: tenant,
    resource: resource.resource,
    scope: 'partner.billing.read',
  })
say('nowhere', { error: await refused(exchange('no-such-tenant')) })
const delegated = await exchange(TENANT)
say('exchange', { tenant: delegated.tenant, scope: delegated.scope })

// What a service in any language can do offline. It does not see revocations: see docs/INTEGRATE.md.
const keys = jose.createLocalJWKSet(await (await fetch(server.jwks_uri)).json())
const expected = { issuer: server.issuer, audience: resource.resource, typ: 'at+jwt', algorithms: ['ES256'] }
const { payload } = await jose.jwtVerify(delegated.access_token, keys, expected)
say('verify', { tenant: payload.tenant, actor: payload.act.sub, actor_tenant: payload.audit_actor_tenant })
const elsewhere = { ...expected, audience: 'https://elsewhere.example' }
say('verify elsewhere', { error: await refused(jose.jwtVerify(delegated.access_token, keys, elsewhere)) })
say('call', { status: (await billing(delegated.access_token)).status })

await client.tokenRevocation(config, delegated.access_token)
while ((await billing(delegated.access_token)).status !== 401);
say('revoke')

// Logout (OpenID Connect RP-Initiated Logout): back here, and nothing goes on.
const state = client.randomState()
const out = client.buildEndSessionUrl(config, {
  id_token_hint: idToken,
  post_logout_redirect_uri: LOGGED_OUT_URI,
  state,
})
const end = new URL(await ask('open', out))
say('logout', { to: end.origin + end.pathname, is_same_state: end.searchParams.get('state') === state })
say('refresh after logout', { error: await refused(client.refreshTokenGrant(config, tokens.refresh_token)) })
process.exit()
