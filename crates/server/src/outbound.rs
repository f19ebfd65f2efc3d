//! How what clients registered is called, as the configuration has it.

use std::{fs, path::Path, time::Duration};

use procura_outbound::Settings;

use crate::{config::Outbound, failure::Failure};

/// The settings. Reads a file, connects to nothing.
pub fn settings(config: &Outbound) -> Result<Settings, Failure> {
    let settings = Settings::default().allowing(&config.allow);
    let mut settings = settings.map_err(|error| Failure::of("outbound.allow", error))?;
    if config.ca_file != Path::new("") {
        let fail = |error: &dyn std::fmt::Display| {
            Failure::of(&config.ca_file.display().to_string(), error)
        };
        let pem = fs::read(&config.ca_file).map_err(|error| fail(&error))?;
        settings = settings.trusting(&pem).map_err(|error| fail(&error))?;
    }
    settings.allows_http = config.allow_http;
    settings.connect_within = Duration::from_millis(config.connect_timeout_ms);
    settings.answer_within = Duration::from_millis(config.timeout_ms);
    settings.max_bytes = config.max_bytes;
    Ok(settings)
}
