// npm's oidc-provider as its own documentation sets it up, with what a token exchange needs: JWT access
// tokens (ES256), and a custom grant that verifies the subject token, looks the relation up in memory
// and signs. It remembers nothing durably and writes no audit log. Told what to serve in one line of
// standard input; ends with that.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { importJWK, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const PARAMETERS = ['subject_token', 'subject_token_type', 'tenant_id', 'scope', 'purpose', 'purpose_ref'];
const SCOPES = 'partner.billing.read partner.reports.read';

const input = createInterface({ input: process.stdin });
input.once('line', (line) => start(JSON.parse(line)));
input.once('close', () => process.exit(0));

async function start({ issuer, jwks, client_id, client_secret, audience, partner, customer }) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const own = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'ES256', use: 'sig' };
  const keys = new Map();
  for (const jwk of jwks.keys.filter(({ alg }) => alg === 'ES256')) {
    keys.set(jwk.kid, await importJWK(jwk, jwk.alg));
  }
  const relations = new Map([[partner, new Map([[customer, new Set(SCOPES.split(' '))]])]]);
  const server = createServer();
  await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
  const address = `http://127.0.0.1:${server.address().port}`;

  const resource = {
    audience, scope: SCOPES, accessTokenTTL: 300, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } },
  };
  const provider = new Provider(address, {
    clients: [{
      client_id,
      client_secret,
      grant_types: ['client_credentials', EXCHANGE],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    }],
    jwks: { keys: [own] },
    routes: { token: '/oauth2/token' },
    extraTokenClaims: (ctx, token) => (token.gty === EXCHANGE
      ? { tenant: ctx.oidc.params.tenant_id, act: { sub: token.accountId } }
      : undefined),
    ttl: { AccessToken: 300, ClientCredentials: 300 },
    scopes: ['openid', ...SCOPES.split(' ')],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => resource,
        useGrantedResource: () => true,
      },
    },
  });

  const target = new provider.ResourceServer(audience, resource);
  const genuine = { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['ES256'] };
  provider.registerGrantType(EXCHANGE, async (ctx) => {
    const { client, params } = ctx.oidc;
    const subject = await jwtVerify(params.subject_token, ({ kid }) => keys.get(kid), genuine)
      .catch(() => { throw new errors.InvalidGrant('subject token'); });
    const granted = relations.get(subject.payload.tenant)?.get(params.tenant_id);
    if (!granted) throw new errors.InvalidTarget();
    const scope = params.scope.split(' ').filter((wanted) => granted.has(wanted)).join(' ');
    const token = new provider.AccessToken({
      client,
      accountId: subject.payload.sub,
      gty: EXCHANGE,
      scope,
    });
    token.resourceServer = target;
    ctx.body = {
      access_token: await token.save(),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      expires_in: token.expiration,
      token_type: token.tokenType,
      scope,
    };
  }, PARAMETERS);

  server.on('request', provider.callback());
  console.log(`peer ready on ${address}`);
}
