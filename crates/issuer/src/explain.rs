//! Why somebody may, or may not, act in a tenant, and what a token is worth. Nothing is decided here and
//! nothing given: the decision is asked, and each side is told its own half. That it was asked is in the log.

use std::{net::IpAddr, sync::Arc, time::Duration};

use procura_domain::{
    Explanation, RelationshipKind, Wish,
    explain::{CUSTOMERS_SIDE, Fixer, PARTNERS_SIDE, Standing, Step},
    permission::SWITCH_CONTEXT,
    relationship::Side,
};
use procura_store::{
    Tx, api_keys::ApiKey, audit::Entry, clients::Client, ledger::Exchange, patience, users::User,
};
use procura_token::{
    AccessClaims, AccessRequestId, ApiKeyId, AuditId, ClientId, DelegationId, Kind, Purpose, Scope,
    Seq, SessionId, Shown, TenantId, UserId,
    claims::Delegated,
    jws::{Genuine, kid_of},
    revocation::named_keys_of,
};
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    api_keys::by_key,
    exchange::GRANT,
    hand::{Hand, Subject},
};

/// Who asks waits so long for the others.
const TURN_WITHIN: Duration = Duration::from_secs(1);
const NO_SESSION: SessionId = SessionId::from_bits(0);
/// Longer names are nobody's.
const MAX_NAME_BYTES: usize = 200;

/// Who would do what where.
#[derive(Clone, Debug)]
pub struct Question {
    /// The person.
    pub user: UserId,
    /// The customer: an id or a slug.
    pub tenant: String,
    /// Through which client.
    pub client: ClientId,
    /// At which resource server; the client's default where it is absent.
    pub audience: Option<String>,
    /// With which permissions; the relationship's default where it is absent.
    pub scope: Option<Scope>,
    /// Why.
    pub purpose: Option<Purpose>,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// By which key of the person's; with the login that the person has where it is absent.
    pub key: Option<ApiKeyId>,
}

/// What a token is worth.
#[derive(Clone, Debug)]
pub struct Worth {
    /// What it says, where it is genuine.
    pub claims: Option<AccessClaims>,
    /// By what it is dead; nothing where it lives.
    pub dead_by: Vec<Cause>,
    /// What the exchange that gave it would come to now; of delegated tokens only, while their person and
    /// client are there.
    pub decision: Option<Explanation>,
}

/// By what a token is dead. It does not come back: what can be mended is that there is no other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A kind of revocation key, or a word.
    pub name: &'static str,
    /// Who can see to it that another one is given: where nothing stands in the way any more, who asks.
    pub fixer: Fixer,
}

impl Issuer {
    /// What an exchange by this person would be answered now, with the login that the person has. `NotFound`
    /// where the person is nobody that the asker may ask about.
    pub async fn explain(&self, hand: Hand<'_>, question: &Question) -> Result<Explanation> {
        let is_long = |text: &str| text.len() > MAX_NAME_BYTES;
        if is_long(&question.tenant) {
            return Err(Error::Invalid("tenant"));
        }
        if question.audience.as_deref().is_some_and(is_long) {
            return Err(Error::Invalid("audience"));
        }
        may_ask(hand)?;
        let _turn = self.question_turn().await?;
        let mut tx = self.begin_question(hand).await?;
        let person = tx.find_user_anywhere(question.user).await?.ok_or(Error::NotFound)?;
        let target = match question.tenant.parse() {
            Ok(id) => tx.find_tenant(id).await?,
            Err(_) => tx.find_tenant_by_slug(&question.tenant).await?,
        };
        let target = target.map(|tenant| tenant.id);
        let side = side(hand, person.tenant, target)?;
        // A customer asks about people of those that it has to do with; anybody else's are nobody.
        if side == Side::Customer && !is_linked(&mut tx, person.tenant, target).await? {
            return Err(Error::NotFound);
        }
        let client = tx.find_client(&question.client).await?.ok_or(Error::Invalid("client_id"))?;
        let key = match question.key {
            Some(id) => Some(key_of(&mut tx, id, (&person, side)).await?),
            None => None,
        };
        if key.as_ref().is_some_and(|key| key.client != client.id) {
            return Err(Error::Invalid("client_id"));
        }
        let whose = (&person, target, key);
        let asked = (side, question);
        let (explanation, audience) = self.decided(&mut tx, asked, whose, client).await?;
        let details = [
            ("user", json!(person.id)),
            ("requested_tenant", json!(question.tenant)),
            ("client", json!(question.client)),
            ("audience", json!(audience)),
        ];
        let about = ("user", person.id.to_string());
        tx.audit(self.asked(hand, about, details)?);
        tx.commit().await?;
        Ok(explanation)
    }

    /// What a token is worth now, for a side of it. Who asks proves nothing by it. `NotFound` where it
    /// concerns neither side.
    pub async fn explain_token(&self, hand: Hand<'_>, token: &str) -> Result<Worth> {
        may_ask(hand)?;
        let _turn = self.question_turn().await?;
        let mut tx = self.begin_question(hand).await?;
        let genuine = match self.genuine(token, Shown::ByOther, tx.now()) {
            Ok(genuine) => genuine,
            Err(rejection) => {
                tx.audit(self.asked(hand, ("token", String::new()), [])?);
                tx.commit().await?;
                let cause = Cause { name: rejection.code(), fixer: Fixer::Person };
                return Ok(Worth { claims: None, dead_by: vec![cause], decision: None });
            }
        };
        let claims = &genuine.claims;
        let (home, target) = match &genuine.kind {
            Kind::Delegated(d) => (d.actor_tenant, Some(claims.tenant)),
            Kind::Home { .. } | Kind::Client => (claims.tenant, None),
        };
        let side = side(hand, home, target)?;
        let decision = match &genuine.kind {
            Kind::Delegated(d) => self.asked_again(&mut tx, side, d, claims).await?,
            Kind::Home { .. } | Kind::Client => None,
        };
        let mut dead_by: Vec<Cause> = Vec::new();
        for cause in self.causes_of_death(&mut tx, &genuine, token).await? {
            // A home token is wholly its own side's.
            let name = if target.is_some() { shown_to(side, cause) } else { cause };
            if dead_by.iter().all(|known| known.name != name) {
                dead_by.push(Cause { name, fixer: fixer(name, decision.as_ref()) });
            }
        }
        tx.audit(self.asked(hand, ("token", claims.jti.clone()), [])?);
        tx.commit().await?;
        Ok(Worth { claims: Some(claims.clone()), dead_by, decision })
    }

    /// What the exchange that gave this token would come to now: from where it was asked for, and by the
    /// same key, or with the login that the person has.
    async fn asked_again(
        &self,
        tx: &mut Tx,
        side: Side,
        delegated: &Delegated,
        claims: &AccessClaims,
    ) -> Result<Option<Explanation>> {
        let person = tx.find_user_anywhere(delegated.actor).await?;
        let client = tx.find_client(&claims.client_id).await?;
        let (Some(person), Some(client)) = (person, client) else { return Ok(None) };
        let key = match claims.sid {
            Some(session) => match tx.find_api_key_of(session).await? {
                // A key that is gone is asked by no login in its place.
                None if tx.find_session(session).await?.is_none() => return Ok(None),
                found => found,
            },
            None => None,
        };
        // What a program of the other side's could do is not asked as if its person did it.
        if key.is_some() && side == Side::Customer {
            return Ok(None);
        }
        let issue = self.0.store.find_issue(&claims.jti).await?;
        let question = Question {
            user: person.id,
            tenant: claims.tenant.to_string(),
            client: client.id.clone(),
            audience: Some(claims.aud.clone()),
            scope: Some(claims.scope.clone()),
            purpose: claims.purpose.clone(),
            ip: issue.and_then(|issue| issue.ip).and_then(|ip| ip.parse().ok()),
            key: key.as_ref().map(|key| key.id),
        };
        let whose = (&person, Some(claims.tenant), key);
        let (explanation, _) = self.decided(tx, (side, &question), whose, client).await?;
        Ok(Some(explanation))
    }

    /// The decision about an exchange that nobody makes, for one side; and about which resource server it is.
    async fn decided(
        &self,
        tx: &mut Tx,
        (side, question): (Side, &Question),
        whose: (&User, Option<TenantId>, Option<ApiKey>),
        client: Client,
    ) -> Result<(Explanation, String)> {
        let can_exchange = client.grant_types.contains(GRANT);
        let exchange = self.imagined(tx, question, whose, client).await?;
        let mut facts = tx.facts(&exchange).await?;
        facts.client.is_usable &= can_exchange;
        let bounds = (exchange.limits, tx.now());
        let explanation = Explanation::of(side, &facts, &exchange.wish, bounds);
        Ok((explanation, exchange.audience))
    }

    /// A question reads a lot with the order of all writers in hand: one at a time at each node.
    async fn question_turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        let turn = patience::wait(TURN_WITHIN, self.0.explaining.acquire()).await;
        turn.and_then(std::result::Result::ok).ok_or(Error::Busy)
    }

    async fn begin_question(&self, hand: Hand<'_>) -> Result<Tx> {
        match hand {
            Hand::Person(call) => self.begin_for(call).await,
            Hand::CommandLine => Ok(self.0.store.begin(self.0.environment.now()).await?),
            Hand::Import | Hand::Itself { .. } | Hand::Upkeep => Err(Error::Forbidden),
        }
    }

    /// The exchange that the person would make now, with the newest login.
    pub(crate) async fn imagined(
        &self,
        tx: &mut Tx,
        question: &Question,
        (person, target, key): (&User, Option<TenantId>, Option<ApiKey>),
        client: Client,
    ) -> Result<Exchange> {
        let session = match key {
            Some(_) => None,
            None => tx.find_newest_session(person.id).await?,
        };
        let is_let = person.roles.iter().any(|role| role.home_scope().contains(&SWITCH_CONTEXT));
        let may_switch = match &key {
            Some(key) => key.bounds.at_home().contains(SWITCH_CONTEXT),
            None => is_let && client.scope.contains(SWITCH_CONTEXT),
        };
        let audience = question.audience.clone().or_else(|| client.default_audience.clone());
        let target_slug = question.tenant.parse::<TenantId>().is_err();
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        Ok(Exchange {
            wish: Wish {
                user: person.id,
                home: person.tenant,
                target,
                may_switch,
                scope: question.scope.clone(),
                purpose: question.purpose.clone(),
                acr: session.as_ref().map(|session| session.acr.clone()),
                auth_time: session.as_ref().map(|session| session.auth_time),
                idp: session.as_ref().map(|session| session.idp.clone()),
                ip: question.ip,
                key: key.as_ref().map(by_key),
            },
            target_slug: target_slug.then(|| question.tenant.clone()),
            subject_client: client.id.clone(),
            audience: audience.ok_or(Error::Invalid("audience"))?,
            client: Arc::new(client),
            // No login has the id of nothing: without one the decision says so.
            session: session
                .map(|session| session.id)
                .or(key.map(|key| key.session))
                .unwrap_or(NO_SESSION),
            subject_keys: Vec::new(),
            subject_rvs: Seq(0),
            limits: self.0.settings.limits,
            quotas: self.0.settings.quotas,
            new_delegation: DelegationId::from_bits(0),
            new_access_request: AccessRequestId::from_bits(0),
            entry: Entry::new(id, tx.now(), crate::exchange::ACTION, "pending"),
        })
    }

    async fn causes_of_death(
        &self,
        tx: &mut Tx,
        genuine: &Genuine,
        token: &str,
    ) -> Result<Vec<&'static str>> {
        let claims = &genuine.claims;
        let kid = kid_of(token).unwrap_or_default();
        let mut causes = Vec::new();
        for key in named_keys_of(claims, &genuine.kind, &kid) {
            if tx.is_dead(&[key.hash()], claims.rvs).await? {
                causes.push(key.kind());
            }
        }
        let client = tx.find_client(&claims.client_id).await?;
        if client.is_none_or(|client| !client.is_enabled) {
            causes.push("client_disabled");
        }
        if let Some(sid) = claims.sid
            && !tx.is_session_live(sid).await?
        {
            causes.push("session_ended");
        }
        if let Kind::Delegated(d) = &genuine.kind {
            let running = tx.find_delegation(d.delegation).await?;
            if running.is_none_or(|running| running.ended_at.is_some()) {
                causes.push("delegation_ended");
            }
        }
        Ok(causes)
    }

    /// Seen by who asked and by the operator, by nobody else.
    fn asked(
        &self,
        hand: Hand<'_>,
        (kind, id): (&'static str, String),
        details: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Entry> {
        let own = hand.caller().map(|caller| caller.tenant);
        let about = Subject { tenant: own.unwrap_or(TenantId::from_bits(0)), kind, id: &id };
        let details = details.into_iter().map(|(name, value)| (name.to_owned(), value));
        let entry = self.entry_by(hand, "explain.ask", about, details.collect::<Map<_, _>>())?;
        Ok(Entry { target_tenant_id: own, ..entry })
    }
}

/// Whoever may ask nothing at all does not learn who exists either.
fn may_ask(hand: Hand<'_>) -> Result<()> {
    if let Some(caller) = hand.caller() {
        caller.ask_why(caller.tenant, None)?;
    }
    Ok(())
}

/// A key of this person's. The customer is told nothing of what keys there are.
async fn key_of(tx: &mut Tx, id: ApiKeyId, (person, side): (&User, Side)) -> Result<ApiKey> {
    let key = tx.find_api_key(id).await?;
    let key = key.filter(|key| key.user == person.id && side != Side::Customer);
    key.ok_or(Error::NotFound)
}

async fn is_linked(tx: &mut Tx, home: TenantId, target: Option<TenantId>) -> Result<bool> {
    let Some(target) = target else { return Ok(false) };
    for kind in RelationshipKind::ALL {
        if tx.find_edge(home, target, *kind).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn side(hand: Hand<'_>, home: TenantId, target: Option<TenantId>) -> Result<Side> {
    match hand.caller() {
        Some(caller) => Ok(caller.ask_why(home, target)?),
        None => Ok(Side::Operator),
    }
}

/// Who can see to it that there is another token after one that died by this. Of a relationship the decision
/// knows who: that depends on what became of it.
fn fixer(cause: &'static str, decision: Option<&Explanation>) -> Fixer {
    let lines = decision.map(Explanation::lines).unwrap_or_default();
    let failed = lines.iter().find(|line| line.standing == Standing::Failed);
    match (cause, failed) {
        (_, None) if decision.is_some() => Fixer::Person,
        ("rel", Some(line)) if line.step == Step::Relationship.as_str() => {
            line.failure.map_or(Fixer::Customer, |(_, fixer)| fixer)
        }
        (CUSTOMERS_SIDE | "rel" | "pair", _) => Fixer::Customer,
        (PARTNERS_SIDE | "act", _) => Fixer::Partner,
        ("ten" | "atn" | "aud" | "cli" | "client_disabled", _) => Fixer::Operator,
        _ => Fixer::Person,
    }
}

/// The other half's reasons have one name together. Either side can end a delegation, and sees that.
fn shown_to(side: Side, cause: &'static str) -> &'static str {
    match (side, cause) {
        (Side::Partner, "rel" | "ten" | "pair") => CUSTOMERS_SIDE,
        (
            Side::Customer,
            "jti" | "cli" | "sid" | "act" | "atn" | "session_ended" | "client_disabled",
        ) => PARTNERS_SIDE,
        _ => cause,
    }
}
