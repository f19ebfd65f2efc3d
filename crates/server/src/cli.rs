//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{
    access_request_commands as requests, api_key_commands as api_keys, audit,
    backup_commands as backup, break_glass_commands as glass, client_commands as clients,
    config::Config,
    explain_command,
    failure::Failure,
    identity_provider_commands as providers, incident_commands as incidents,
    initial_token_commands as initial_tokens, key_commands as keys,
    partner_code_commands as partner_codes, policy_commands as policies, quota_commands as quotas,
    resource_server_commands as servers, seed,
    start::{self, First},
};

/// Delegated administration between tenants: an OAuth 2 and `OpenID` Connect authorization server.
#[derive(Debug, Parser)]
#[command(name = "procura", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server on this machine, with everything embedded.
    Dev(Dev),
    /// Start a server as the configuration says.
    Serve(Serve),
    /// Make and change tenants, people, clients, resource servers and relationships as a file says.
    Import(seed::Import),
    /// Look after clients: software that asks for tokens.
    #[command(subcommand)]
    Client(clients::Command),
    /// Look after initial access tokens: what lets software register itself.
    #[command(subcommand)]
    InitialToken(initial_tokens::Command),
    /// Look after resource servers: services that take tokens.
    #[command(subcommand)]
    ResourceServer(servers::Command),
    /// Look after requests to be let in, of customers that approve each time.
    #[command(subcommand)]
    AccessRequest(requests::Command),
    /// Shut partners out of a customer's tenant, or look after the codes with which the customer does so.
    #[command(subcommand)]
    BreakGlass(glass::Command),
    /// Look at the code by which partners may ask a customer, or change it.
    #[command(subcommand)]
    PartnerCode(partner_codes::Command),
    /// Look after keys by which programs of partners' people act.
    #[command(subcommand)]
    ApiKey(api_keys::Command),
    /// Look after identity providers: by which logins of their own people of a tenant come in.
    #[command(subcommand)]
    IdentityProvider(providers::Command),
    /// Look after login policies: what tenants demand of their people's logins.
    #[command(subcommand)]
    Policy(policies::Command),
    /// Look at a tenant's quotas and what is used of them, or set them.
    #[command(subcommand)]
    Quota(quotas::Command),
    /// Say why somebody may act in a tenant or may not, or what a token is worth.
    Explain(explain_command::Explain),
    /// Close all relationships of a partner or a tenant at once, and keep the evidence.
    Incident(incidents::Declare),
    /// Look after the audit log.
    #[command(subcommand)]
    Audit(Audit),
    /// Look after the signing keys and the master key.
    #[command(subcommand)]
    Keys(Keys),
    /// Copy everything, or look whether a copy is good.
    #[command(subcommand)]
    Backup(Backup),
    /// Put a backup into an empty database, and start a new generation: nothing from before is accepted.
    Restore(backup::Restore),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct Dev {
    #[command(flatten)]
    place: Place,
    /// Seed partners and customers in every state, to try things out. Loopback only.
    #[arg(long)]
    demo: bool,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    place: Place,
    /// Import this file before anybody is served; secrets of clients must be stated in it.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
}

/// Where things are. A flag wins over the environment, the environment over the file.
#[derive(Debug, Args)]
pub struct Place {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for the database and the keys [default: ./procura-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:5000]; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Find any changed, removed or reordered entry, and a tail that was cut after a checkpoint.
    Verify(Verify),
    /// Say whether a file of evidence is whole, and of this deployment.
    VerifyEvidence(incidents::Verify),
}

#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    place: Place,
    /// A file of signed checkpoints that was kept elsewhere, one on each line.
    #[arg(long, value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Print every key: its state, since when, until when.
    List(Place),
    /// Let the next key sign. Verifiers know it already; what the old one signed lives on.
    Rotate(keys::Rotate),
    /// End one key.
    Retire(keys::Retire),
    /// Seal everything under a new master key, while no server runs.
    Rewrap(keys::Rewrap),
}

#[derive(Debug, Subcommand)]
enum Backup {
    /// Copy everything as it is now into a new folder; servers may run. The master key is not in it.
    Create(backup::Create),
    /// Read a backup and say whether anything of it was changed.
    Verify(backup::Verify),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether the configuration can be used.
    Check(Place),
    /// Print the configuration in effect.
    Show(Place),
    /// Print every setting with its default.
    Example,
}

impl Place {
    /// The configuration in effect.
    pub fn load(&self) -> Result<Config, Failure> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.server.data.clone_from(data);
        }
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        config.check()?;
        Ok(config)
    }
}

/// Carries out what the command line says.
pub fn run() -> Result<(), Failure> {
    match Cli::parse().command {
        Command::Dev(dev) => {
            start::run(dev.place.load()?, First { is_demo: dev.demo, ..First::default() })
        }
        Command::Serve(serve) => {
            start::run(serve.place.load()?, First { seed: serve.seed, ..First::default() })
        }
        Command::Client(command) => clients::run(&command),
        Command::AccessRequest(command) => requests::run(&command),
        Command::ApiKey(command) => api_keys::run(&command),
        Command::BreakGlass(command) => glass::run(&command),
        Command::PartnerCode(command) => partner_codes::run(&command),
        Command::InitialToken(command) => initial_tokens::run(&command),
        Command::ResourceServer(command) => servers::run(&command),
        Command::IdentityProvider(command) => providers::run(&command),
        Command::Policy(command) => policies::run(&command),
        Command::Quota(command) => quotas::run(&command),
        Command::Explain(command) => explain_command::run(&command),
        Command::Incident(command) => incidents::declare(&command),
        Command::Import(import) => seed::import(&import),
        Command::Audit(Audit::Verify(verify)) => {
            audit::verify(&verify.place.load()?, &verify.checkpoints)
        }
        Command::Audit(Audit::VerifyEvidence(verify)) => incidents::verify(&verify),
        Command::Keys(Keys::List(place)) => keys::list(&place.load()?),
        Command::Keys(Keys::Rotate(rotate)) => keys::rotate(&rotate),
        Command::Keys(Keys::Retire(retire)) => keys::retire(&retire),
        Command::Keys(Keys::Rewrap(rewrap)) => keys::rewrap(&rewrap),
        Command::Backup(Backup::Create(create)) => backup::create(&create),
        Command::Backup(Backup::Verify(verify)) => backup::verify(&verify),
        Command::Restore(restore) => backup::restore(&restore),
        Command::Config(ConfigCommand::Check(place)) => {
            place.load()?;
            println!("The configuration is good.");
            Ok(())
        }
        Command::Config(ConfigCommand::Show(place)) => {
            print!("{}", place.load()?.to_toml());
            Ok(())
        }
        Command::Config(ConfigCommand::Example) => {
            print!("{}", Config::default().to_toml());
            Ok(())
        }
    }
}
