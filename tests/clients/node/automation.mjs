// A partner's nightly program with openid-client: a key, and nobody who logs in. Environment: ISSUER, API,
// CLIENT_ID, CLIENT_SECRET, PARTNER_KEY, TENANT.
import * as openid from 'openid-client'
import { refused, say } from './terminal.mjs'

const { ISSUER, API, CLIENT_ID, CLIENT_SECRET, PARTNER_KEY, TENANT } = process.env
const config = await openid.discovery(new URL(ISSUER), CLIENT_ID, {}, openid.ClientSecretBasic(CLIENT_SECRET), {
  execute: [openid.allowInsecureRequests],
})

class Client {
  constructor({ apiKey }) {
    this.apiKey = apiKey
  }

  /** Acts in a customer's tenant. */
  async forTenant(tenant) {
    const { access_token } = await openid.genericGrantRequest(
      config,
      'urn:ietf:params:oauth:grant-type:token-exchange',
      {
        subject_token: this.apiKey,
        subject_token_type: 'urn:procura:token-type:api-key',
        tenant_id: tenant,
        scope: 'partner.billing.read',
      },
    )
    return (path) => fetch(`${API}${path}`, { headers: { Authorization: `Bearer ${access_token}` } })
  }
}

const client = new Client({ apiKey: PARTNER_KEY })
const acme = await client.forTenant(TENANT)
say('billing', { status: (await acme('/api/v1/partner/billing/summary')).status })
say('nowhere', { error: await refused(client.forTenant('no-such-tenant')) })
const customers = await fetch(`${ISSUER}/api/partners/tenants`, { headers: { Authorization: `Bearer ${PARTNER_KEY}` } })
say('customers', { count: (await customers.json()).length })
process.exit()
