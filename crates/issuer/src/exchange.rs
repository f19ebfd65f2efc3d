//! The token exchange (RFC 8693): a partner's user acts in a customer's tenant. The steps are
//! numbered as in docs/SECURITY-MODEL.md; their order is part of the promise.

use std::sync::Arc;

use procura_domain::{Refusal, Wish, acr::known_acr, quota::UtcDay, refusal::Class};
use procura_store::{
    audit::Entry,
    clients::Client,
    ledger::{Exchange, Recorded},
};
use procura_token::{
    AccessRequestId, AuditId, DelegationId, Purpose, Scope, TenantDelegation, TenantId, Ts,
};

use crate::{
    Error, Issuer, Minted, Result, Via,
    api_keys::by_key,
    details,
    dpop::{ProvenKey, admit_binding},
    mint::Delegated,
    subject_tokens::{Subject, SubjectToken, Unusable},
};

/// The grant type's name.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The action in the audit log.
pub const ACTION: &str = "token.exchange";

/// What the request says; syntax was checked, nothing else was.
pub struct Request<'a> {
    /// The authenticated client.
    pub client: Arc<Client>,
    /// The home access token, or the key.
    pub subject_token: SubjectToken<'a>,
    /// The customer: an id or a slug.
    pub tenant_id: &'a str,
    /// The resource server; the client's default where it is absent.
    pub audience: Option<String>,
    /// The permissions asked for.
    pub scope: Option<Scope>,
    /// Whether it was asked in detail (RFC 9396), and is answered so.
    pub is_detailed: bool,
    /// Why.
    pub purpose: Option<Purpose>,
    /// The key that whoever asks has proven to hold.
    pub key: Option<ProvenKey>,
    /// Where the request came from.
    pub via: Via,
}

/// What was granted.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub token: Minted,
    /// The tenant in which it is valid; clients must check that it is what they asked for.
    pub tenant: TenantId,
    /// The delegation that runs now.
    pub delegation: DelegationId,
    /// As long as it can be renewed by exchanging again, in seconds.
    pub delegation_expires_in: i64,
    /// What it permits in detail, where it was asked so.
    pub details: Vec<TenantDelegation>,
}

impl Issuer {
    /// Exchanges a home token, or a key, for a delegated token. Whatever the outcome, it is in the audit log
    /// before this returns.
    pub async fn exchange(&self, request: &Request<'_>) -> Result<Granted> {
        let granted = self.try_exchange(request).await;
        self.0.meters.exchange(&granted);
        granted
    }

    async fn try_exchange(&self, request: &Request<'_>) -> Result<Granted> {
        let now = self.0.environment.now();
        let mut entry = self.exchange_entry(request, now)?;
        // Steps 1 to 4: the client's right to the grant, the subject token, the audience.
        let prepared = match self.prepare(request, now, &mut entry).await {
            Ok(prepared) => prepared,
            Err((error, reason)) => {
                self.admit_failing(&request.client, &request.via).await?;
                let refused =
                    Entry { result: "refused".into(), reason: Some(reason.into()), ..entry };
                self.0.store.record(refused).await?;
                return Err(error);
            }
        };
        // Counted for whoever it is now known to be; beyond a limit nothing is read and nothing written.
        let whose = (prepared.subject.home, prepared.subject.user);
        self.limit_exchange(whose, request.tenant_id, &request.via).await?;
        // Steps 5 to 9: gather, decide and record in one transaction.
        let job = self.ledger_job(request, &prepared, entry)?;
        let recorded = self.0.store.exchange(job).await?;
        let granted = self.conclude(request, &prepared, recorded, now).await?;
        self.learn_name(whose.0, request.tenant_id, granted.tenant).await;
        if let Some(key) = &prepared.subject.key {
            self.note_use(key, now);
        }
        Ok(granted)
    }

    async fn prepare(
        &self,
        request: &Request<'_>,
        now: Ts,
        entry: &mut Entry,
    ) -> Result<Prepared, Unusable> {
        // 1 The client may use this grant at all.
        if !request.client.grant_types.contains(GRANT) {
            return Err((Error::GrantNotAllowed, Error::GrantNotAllowed.code()));
        }
        admit_binding(&request.client, request.key.as_ref()).map_err(|e| (e, e.code()))?;
        // 3 The subject token: genuine, a home token of a user's login or a person's key, of this client.
        let subject = self.subject_of(request, now, entry).await?;
        // 4 The audience: one that is registered for this client; whether it takes delegated tokens
        // is decided with the other facts.
        let audience = request.audience.as_deref().or(request.client.default_audience.as_deref());
        let audience = audience.ok_or((Error::Invalid("audience"), "audience_missing"))?.to_owned();
        Ok(Prepared { subject, audience })
    }

    fn ledger_job(
        &self,
        request: &Request<'_>,
        prepared: &Prepared,
        entry: Entry,
    ) -> Result<Exchange> {
        let subject = &prepared.subject;
        let target: Option<TenantId> = request.tenant_id.parse().ok();
        Ok(Exchange {
            wish: Wish {
                user: subject.user,
                home: subject.home,
                target,
                may_switch: subject.may_switch,
                scope: request.scope.clone(),
                purpose: request.purpose.clone(),
                acr: subject.acr.clone(),
                auth_time: subject.auth_time.map(Ts::from_secs),
                idp: subject.idp.clone(),
                ip: request.via.ip.as_deref().and_then(|ip| ip.parse().ok()),
                key: subject.key.as_ref().map(by_key),
            },
            target_slug: target.is_none().then(|| request.tenant_id.to_owned()),
            client: Arc::clone(&request.client),
            subject_client: subject.client.clone(),
            audience: prepared.audience.clone(),
            session: subject.session,
            subject_keys: subject.keys.clone(),
            subject_rvs: subject.rvs,
            limits: self.0.settings.limits,
            quotas: self.0.settings.quotas,
            new_delegation: DelegationId::from_bits(self.0.environment.id_bits()?),
            new_access_request: AccessRequestId::from_bits(self.0.environment.id_bits()?),
            entry: Entry {
                jti: Some(self.new_jti()?),
                actor_user_id: Some(subject.user),
                actor_tenant_id: Some(subject.home),
                resource_id: Some(prepared.audience.clone()),
                ..entry
            },
        })
    }

    /// 10 Sign what was decided and is durable.
    async fn conclude(
        &self,
        request: &Request<'_>,
        prepared: &Prepared,
        recorded: Recorded,
        now: Ts,
    ) -> Result<Granted> {
        let (mandate, delegation) = recorded.outcome.map_err(|refusal| {
            if refusal == Refusal::ClientUnusable {
                self.forget_client(&request.client.id);
            }
            if refusal.class() == Class::Quota {
                return Error::UsedUpToday { refusal, wait_secs: left_of_day(recorded.at) };
            }
            match recorded.conditions {
                Some(asked) => Error::StepUp {
                    acr: asked.min_acr.as_deref().and_then(known_acr),
                    max_age: asked.max_age_secs,
                },
                None => Error::Refused(refusal),
            }
        })?;
        let (tenant, ends_at) = (mandate.tenant, mandate.delegation_ends_at);
        let detail = request.is_detailed.then(|| details::granted(&mandate, &prepared.audience));
        let details: Vec<_> = detail.into_iter().collect();
        let signers = self.signers(recorded.keys).await?;
        let token = self.mint_delegated(
            Delegated {
                signers: &signers,
                client: &request.client,
                audience: &prepared.audience,
                subject: &prepared.subject,
                mandate,
                delegation,
                purpose: request.purpose.clone(),
                details: details.clone(),
                key: request.key.as_ref(),
                rvs: recorded.rvs,
                jti: recorded.jti.ok_or(Error::Broken)?,
            },
            now,
        )?;
        let delegation_expires_in = ends_at.secs().saturating_sub(now.secs());
        Ok(Granted { token, tenant, delegation, delegation_expires_in, details })
    }

    fn exchange_entry(&self, request: &Request<'_>, now: Ts) -> Result<Entry> {
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let mut details = serde_json::json!({ "requested_tenant": request.tenant_id });
        if let (Some(scope), Some(details)) = (&request.scope, details.as_object_mut()) {
            details.insert("requested_scope".into(), scope.to_string().into());
        }
        let purpose = request.purpose.as_ref().map(|p| match &p.r#ref {
            Some(reference) => format!("{} {reference}", p.code),
            None => p.code.clone(),
        });
        Ok(Entry {
            client_id: Some(request.client.id.clone()),
            ip: request.via.ip.clone(),
            request_id: Some(request.via.request_id.clone()),
            resource_type: Some("resource_server".into()),
            purpose,
            details: Some(details.to_string()),
            ..Entry::new(id, now, ACTION, "pending")
        })
    }
}

/// Whole seconds until another day is counted on.
fn left_of_day(now: Ts) -> u32 {
    let left = UtcDay::of(now).ends_at().secs().saturating_sub(now.secs());
    u32::try_from(left).unwrap_or(u32::MAX)
}

struct Prepared {
    subject: Subject,
    audience: String,
}
