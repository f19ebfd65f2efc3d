//! A certificate authority of its own, and certificates for this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::scratch::Scratch;

/// An authority in a folder that goes with it.
#[derive(Debug)]
pub struct Authority(Scratch);

/// The kind of a key, as `openssl req` is asked for it.
#[derive(Debug, Clone, Copy)]
pub enum KeyKind {
    /// On P-256.
    Ec,
    /// Of 2048 bits.
    Rsa,
}

impl Authority {
    /// Makes one.
    #[allow(clippy::new_without_default, reason = "it does something: it is no default value")]
    pub fn new() -> Self {
        let own = Self(Scratch::new());
        own.openssl(&format!(
            "req -x509 {EC} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"
        ));
        fs::write(own.0.path().join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            .expect("a new folder");
        own
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// Makes a certificate for `localhost` and `127.0.0.1` with this common name, in the files
    /// `NAME.pem` and `NAME.key`: their paths. With 0 days it has expired when it is made.
    pub fn certify(&self, name: &str, kind: KeyKind, days: u8) -> (PathBuf, PathBuf) {
        let kind = match kind {
            KeyKind::Ec => EC,
            KeyKind::Rsa => "-newkey rsa:2048 -nodes",
        };
        self.openssl(&format!("req {kind} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem \
             -days {days} -extfile names"
        ));
        let file = |end: &str| self.0.path().join(format!("{name}.{end}"));
        (file("pem"), file("key"))
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        let done = command.output().expect("openssl is there: tests/run --needs installs it");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// What `openssl s_client` says of a server at this address, and whether it got through.
    pub fn shake_hands(&self, address: &str, arguments: &str) -> (bool, String) {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", address, "-verify_return_error"]);
        command.args(["-CAfile", path_text(&self.certificate())]);
        command.args(arguments.split_whitespace()).stdin(std::process::Stdio::null());
        let done = command.output().expect("openssl is there: tests/run --needs installs it");
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

fn path_text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
