// A client under FAPI 2.0 with openid-client: private_key_jwt, a signed request that is pushed (JAR, PAR), PKCE, a signed
// answer (JARM), and DPoP with the server's nonces.
// Environment: ISSUER, API, REDIRECT_URI, TENANT.
import * as jose from 'jose'
import * as client from 'openid-client'
import { ask, refused, say } from './terminal.mjs'

const { ISSUER, API, REDIRECT_URI, TENANT } = process.env

// Only the public half leaves this process. The answer is our client id.
const own = await jose.generateKeyPair('ES256')
const jwk = { ...(await jose.exportJWK(own.publicKey)), kid: 'first', use: 'sig', alg: 'ES256' }
const clientId = await ask('register', { keys: [jwk] })

const config = await client.discovery(
  new URL(ISSUER),
  clientId,
  { id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256' },
  client.PrivateKeyJwt({ key: own.privateKey, kid: jwk.kid }),
  { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks, client.useJwtResponseMode] },
)
const options = { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) }

const pkceCodeVerifier = client.randomPKCECodeVerifier()
const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()]
const request = await client.buildAuthorizationUrlWithJAR(
  config,
  {
    redirect_uri: REDIRECT_URI,
    scope: 'openid partner.tenants.switch_context',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
  },
  { key: own.privateKey, kid: jwk.kid },
)
const to = await client.buildAuthorizationUrlWithPAR(config, request.searchParams, options)
say('push', { signed: [...request.searchParams.keys()].sort(), parameters: [...to.searchParams.keys()].sort() })

const back = new URL(await ask('open', to))
say('answer', { parameters: [...back.searchParams.keys()] })
const checks = { pkceCodeVerifier, expectedState, expectedNonce }
const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, options)
say('login', { sub: tokens.claims().sub, token_type: tokens.token_type })
const userinfo = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, options)
say('userinfo', { sub: userinfo.sub })

// Into a customer's tenant; the delegated token is bound to the same key.
const delegated = await client.genericGrantRequest(
  config,
  'urn:ietf:params:oauth:grant-type:token-exchange',
  {
    subject_token: tokens.access_token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    tenant_id: TENANT,
    scope: 'partner.billing.read',
  },
  options,
)
say('exchange', { tenant: delegated.tenant, token_type: delegated.token_type })
const billing = new URL(`${API}/api/v1/partner/billing/summary`)
const call = await client.fetchProtectedResource(config, delegated.access_token, billing, 'GET', null, undefined, options)
say('call', { status: call.status, tenant: (await call.json()).tenant_id })
const stolen = await fetch(billing, { headers: { Authorization: `Bearer ${delegated.access_token}` } })
say('call without the key', { status: stolen.status })

// A code works once; whoever tries it again loses what it gave.
const again = client.authorizationCodeGrant(config, back, checks, undefined, options)
say('code again', { error: await refused(again) })
process.exit()
