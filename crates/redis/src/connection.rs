//! One connection to the server that keeps our keys: found by sentinels or in a cluster where need
//! be, over TLS where asked for, bounded in time.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    TlsCertificates, Value, aio::MultiplexedConnection, cmd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use tokio::time::timeout;

use crate::{
    Failed, Place,
    address::{Host, Kind, parse_redirect},
};

/// A connection is there within this, or not at all.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// Finding the right server and connecting to it takes no longer, however many are asked.
const FIND_WITHIN: Duration = Duration::from_secs(2);
/// An answer comes within this, or never.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A connection that is used by one task at a time.
pub(crate) struct Connection(MultiplexedConnection);

impl Connection {
    /// Connects to the server of this place, the one that takes writes.
    pub async fn open(place: &Place) -> Result<Self, Failed> {
        timeout(FIND_WITHIN, find(place)).await.map_err(|_| Failed::Unreachable)?
    }

    /// Sends a command and waits for the answer for at most `within`.
    pub async fn ask(&mut self, command: &Cmd, within: Duration) -> Result<Value, Failed> {
        let asked = timeout(within, command.query_async(&mut self.0));
        Ok(asked.await.map_err(|_| Failed::Unreachable)??)
    }
}

async fn find(place: &Place) -> Result<Connection, Failed> {
    // The first of several that works; the last failure where none does.
    let mut failed = Failed::Unreachable;
    let hosts = match &place.address.kind {
        Kind::Unix(path) => return connect(place, ConnectionAddr::Unix(path.clone())).await,
        Kind::Single(host) => return connect(place, at(place, host)).await,
        Kind::Sentinel(hosts, _) | Kind::Cluster(hosts) => hosts,
    };
    for host in hosts {
        let found = match &place.address.kind {
            Kind::Sentinel(_, service) => by_sentinel(place, host, service).await,
            _ => in_cluster(place, host).await,
        };
        match found {
            Ok(connection) => return Ok(connection),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Asks a sentinel for the primary.
async fn by_sentinel(place: &Place, host: &Host, service: &str) -> Result<Connection, Failed> {
    // Sentinels often want no password; where they want one, it is that of the servers.
    let answer = match ask_sentinel(place, host, service, false).await {
        Err(Failed::Denied) => ask_sentinel(place, host, service, true).await?,
        answer => answer?,
    };
    let primary: Option<(String, u16)> =
        redis::from_redis_value(answer).map_err(|_| Failed::Unusable)?;
    let (name, port) = primary.ok_or(Failed::Unusable)?;
    let mut found = connect(place, at(place, &Host { name, port })).await?;
    // A sentinel can be late: the old primary may be back as a replica, which takes no writes.
    let role = found.ask(&cmd("ROLE"), ANSWER_WITHIN).await?;
    let is_primary = matches!(&role, Value::Array(parts)
        if matches!(parts.first(), Some(Value::BulkString(word)) if word == b"master"));
    if is_primary { Ok(found) } else { Err(Failed::Unusable) }
}

async fn ask_sentinel(
    place: &Place,
    host: &Host,
    service: &str,
    has_password: bool,
) -> Result<Value, Failed> {
    let mut question = cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(service);
    let mut sentinel = connect_as(place, at(place, host), has_password, 0).await?;
    sentinel.ask(&question, ANSWER_WITHIN).await
}

/// Asks any server of a cluster for our stream and follows where it points. While slots move, the
/// stream can be out of reach for a moment, like every key of its slot.
async fn in_cluster(place: &Place, host: &Host) -> Result<Connection, Failed> {
    let mut question = cmd("EXISTS");
    question.arg(place.stream());
    let mut here = connect(place, at(place, host)).await?;
    let asked = timeout(ANSWER_WITHIN, question.query_async::<Value>(&mut here.0)).await;
    let Err(error) = asked.map_err(|_| Failed::Unreachable)? else { return Ok(here) };
    // An empty host in a redirection means: the one that was asked.
    let redirected = error.redirect_node().and_then(|(to, _slot)| parse_redirect(to));
    let Some(mut to) = redirected else { return Err(error.into()) };
    if to.name.is_empty() || to.name == "?" {
        to.name.clone_from(&host.name);
    }
    let mut there = connect(place, at(place, &to)).await?;
    there.ask(&question, ANSWER_WITHIN).await?;
    Ok(there)
}

fn at(place: &Place, host: &Host) -> ConnectionAddr {
    let (name, port) = (host.name.clone(), host.port);
    if place.address.is_tls {
        ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(name, port)
    }
}

async fn connect(place: &Place, to: ConnectionAddr) -> Result<Connection, Failed> {
    connect_as(place, to, true, place.address.database).await
}

async fn connect_as(
    place: &Place,
    to: ConnectionAddr,
    has_password: bool,
    database: i64,
) -> Result<Connection, Failed> {
    let address = &place.address;
    let mut settings = RedisConnectionInfo::default().set_db(database);
    if let Some(user) = address.user.as_ref().filter(|_| has_password) {
        settings = settings.set_username(user);
    }
    if let Some(password) = address.password.as_ref().filter(|_| has_password) {
        settings = settings.set_password(password);
    }
    let info = to.into_connection_info()?.set_redis_settings(settings);
    let client = if address.is_tls {
        take_crypto_provider();
        let root_cert = place.authorities.clone();
        Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })?
    } else {
        Client::open(info)?
    };
    // Answers are bounded where a command is sent: a reader waits longer than a writer.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(None);
    let connected = client.get_multiplexed_async_connection_with_config(&config);
    let connected = timeout(CONNECT_WITHIN * 2, connected).await;
    Ok(Connection(connected.map_err(|_| Failed::Unreachable)??))
}

/// The client takes whatever implementation of TLS the process has agreed on, and panics where there
/// is no agreement. An embedder that has chosen keeps its choice.
fn take_crypto_provider() {
    if CryptoProvider::get_default().is_none() {
        let _ = provider::default_provider().install_default();
    }
}
