//! The secret that signs tokens: the configured one, or one of our own.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::config::{Secret, Settings};
use crate::store::make_private_folder;

/// Random bytes in a secret that the server makes: as many as HS256 hashes to (RFC 7518, section 3.2).
const RANDOM_LEN: usize = 32;

/// The secret of this server.
#[derive(Debug)]
pub struct SigningKey {
    path: PathBuf,
    made: Mutex<Option<Secret>>,
}

/// The secret cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("the secret for tokens is kept in {path} (`data.dir`), and that fails: {source}")]
pub struct SecretError {
    path: PathBuf,
    source: io::Error,
}

impl SigningKey {
    /// The secret for which `settings` are.
    pub fn new(settings: &Settings) -> Self {
        Self { path: settings.data.dir.join("secret"), made: Mutex::new(None) }
    }

    /// The bytes to sign with: the configured ones, else those in the folder for durable state. They are made there if this
    /// is the first time that somebody asks.
    ///
    /// # Errors
    /// If that file cannot be made or read.
    pub fn bytes(&self, settings: &Settings) -> Result<Vec<u8>, SecretError> {
        if let Some(given) = &settings.auth.secret.0 {
            return Ok(given.reveal().as_bytes().to_vec());
        }
        let mut made = self.made.lock();
        if made.is_none() {
            let failed = |source| SecretError { path: self.path.clone(), source };
            *made = Some(read_or_make(&self.path).map_err(failed)?);
        }
        Ok(made.as_ref().map(|secret| secret.reveal().as_bytes().to_vec()).unwrap_or_default())
    }
}

fn read_or_make(path: &Path) -> io::Result<Secret> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(path)?;
            read(path)
        }
        read => read,
    }
}

fn read(path: &Path) -> io::Result<Secret> {
    let text = fs::read_to_string(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o007 != 0 {
        warn!(path = %path.display(), "everybody on this machine can read the secret for tokens: chmod 600");
    }
    match text.trim() {
        "" => {
            Err(io::Error::new(ErrorKind::InvalidData, "the file is empty; remove it to have a new one made"))
        }
        secret => Ok(Secret::new(secret)),
    }
}

/// Makes the file with all that is in it at once: another process that makes it at the same time must not read half, and
/// both must end with the same.
fn make(path: &Path) -> io::Result<()> {
    let mut random = [0; RANDOM_LEN];
    getrandom::fill(&mut random)?;
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    let mut name = [0; 8];
    getrandom::fill(&mut name)?;
    let draft = path.with_extension(format!("{:016x}", u64::from_ne_bytes(name)));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(random))?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            info!(path = %path.display(), "made a secret for tokens");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SigningSecret;

    fn settings(dir: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.data.dir = dir.join("data");
        settings
    }

    #[test]
    fn a_secret_is_made_once_and_for_nobody_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = settings(dir.path());
        let made = SigningKey::new(&settings).bytes(&settings).expect("made");
        assert_eq!(made.len(), 43);
        assert_eq!(SigningKey::new(&settings).bytes(&settings).expect("read"), made);
        let files: Vec<_> = fs::read_dir(&settings.data.dir).expect("a folder").collect();
        assert_eq!(files.len(), 1, "no draft is left");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&settings.data.dir), mode(&settings.data.dir.join("secret"))), (0o700, 0o600));
    }

    #[test]
    fn whoever_makes_it_at_the_same_time_gets_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = settings(dir.path());
        let secrets: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let make = || SigningKey::new(&settings).bytes(&settings).expect("a secret");
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }

    #[test]
    fn a_given_secret_needs_no_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut settings = settings(dir.path());
        settings.auth.secret = SigningSecret(Some(Secret::new("given")));
        assert_eq!(SigningKey::new(&settings).bytes(&settings).expect("given"), b"given");
        assert!(!settings.data.dir.exists());
    }

    #[test]
    fn an_empty_file_is_no_secret() {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = settings(dir.path());
        fs::create_dir(&settings.data.dir).expect("made");
        fs::write(settings.data.dir.join("secret"), "\n").expect("written");
        let error = SigningKey::new(&settings).bytes(&settings).expect_err("empty");
        assert!(error.to_string().contains("data.dir"), "{error}");
    }
}
