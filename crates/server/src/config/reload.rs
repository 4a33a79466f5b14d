//! Settings of a running server: read again on SIGHUP and when the file changes.

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::key::Key;
use super::settings::Settings;
use super::sources::{Loaded, Sources};
use crate::file_watch::FileWatch;

/// Follows the sources of the settings and hands out the current ones.
///
/// What a receiver sees is what is in effect: keys that need a restart keep their old values there.
#[derive(Debug)]
pub struct ConfigWatcher {
    sources: Sources,
    files: FileWatch,
    current: CurrentSettings,
}

/// The settings that hold, for everybody who goes by them. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct CurrentSettings {
    settings: Arc<watch::Sender<Arc<Settings>>>,
    followers: Arc<Mutex<Followers>>,
}

/// What keeps a copy of some settings, and has to be told of others.
#[derive(Default)]
struct Followers(Vec<Follower>);

type Follower = Box<dyn Fn(&Settings) + Send>;

impl ConfigWatcher {
    /// Watches what `loaded` was loaded from.
    ///
    /// # Errors
    ///
    /// If the system lets us watch neither files nor signals.
    pub fn new(sources: Sources, loaded: Loaded) -> io::Result<Self> {
        let files = FileWatch::new(loaded.file.into_iter().collect())?;
        Ok(Self { sources, files, current: CurrentSettings::new(loaded.settings) })
    }

    /// The current settings, and all that follow.
    pub fn current(&self) -> CurrentSettings {
        self.current.clone()
    }

    /// Follows the sources until it is dropped. Bad settings are logged and change nothing.
    pub async fn run(mut self) {
        loop {
            self.files.changed().await;
            self.reload();
        }
    }

    fn reload(&self) {
        match self.sources.load() {
            Ok(loaded) => self.apply(&loaded.settings),
            Err(problems) => {
                for problem in &problems.0 {
                    error!(%problem, "settings not reloaded, the old ones stay");
                }
            }
        }
    }

    fn apply(&self, new: &Settings) {
        let old = self.current.settings.borrow().clone();
        let diff = old.diff(new);
        if !diff.needs_restart.is_empty() {
            warn!(keys = names(&diff.needs_restart), "changed settings wait for a restart");
        }
        if diff.live.is_empty() {
            info!("settings read again, nothing to change");
            return;
        }
        for warning in new.warnings() {
            warn!("{warning}");
        }
        self.current.replace(old.with_live_changes(new));
        info!(keys = names(&diff.live), "settings changed");
    }
}

impl CurrentSettings {
    /// Settings that nobody changes.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(watch::Sender::new(Arc::new(settings))), followers: Arc::default() }
    }

    /// To look at whenever they matter.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Calls `follower` with the settings, and again with all that follow: a change holds for it before the log says that
    /// they have changed.
    pub fn follow(&self, follower: impl Fn(&Settings) + Send + 'static) {
        // The lock keeps a change from coming between.
        let mut followers = self.followers.lock();
        follower(&self.settings.borrow());
        followers.0.push(Box::new(follower));
    }

    fn replace(&self, settings: Settings) {
        let followers = self.followers.lock();
        followers.0.iter().for_each(|follower| follower(&settings));
        self.settings.send_replace(Arc::new(settings));
    }
}

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} followers", self.0.len())
    }
}

fn names(keys: &[&Key]) -> String {
    keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    /// Far longer than the debounce; only a failing test waits for it.
    const PATIENCE: Duration = Duration::from_secs(120);

    #[tokio::test]
    async fn a_changed_file_changes_what_can_change_live() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("flumen.toml");
        fs::write(&file, "[record]\nall = false\n").expect("a file");
        let sources = Sources { file: Some(file.clone()), ..Sources::default() };
        let loaded = sources.load().expect("valid settings");
        let watcher = ConfigWatcher::new(sources, loaded).expect("a watcher");
        let mut settings = watcher.current().subscribe();
        let task = tokio::spawn(watcher.run());

        // Broken settings between two valid ones change nothing; whether they are seen at all depends on the debounce.
        fs::write(&file, "[record]\nal = true\n").expect("written");
        fs::write(&file, "rtmp.addr = '127.0.0.1:1'\n[record]\nall = true\n").expect("written");
        tokio::time::timeout(PATIENCE, settings.changed())
            .await
            .expect("a change in time")
            .expect("a watcher");
        let now = settings.borrow().clone();
        assert!(now.record.all);
        assert_eq!(now.rtmp.addr, Settings::default().rtmp.addr);
        task.abort();
    }

    #[tokio::test]
    async fn a_follower_has_the_newest_before_anybody_sees_them() {
        let current = CurrentSettings::new(Settings::default());
        let (settings, told) = (current.subscribe(), Arc::new(Mutex::new(Vec::new())));
        current.follow({
            let (settings, told) = (settings.clone(), told.clone());
            move |new| told.lock().push((settings.borrow().record.all, new.record.all))
        });
        let mut new = Settings::default();
        new.record.all = true;
        current.replace(new);
        assert_eq!(*told.lock(), [(false, false), (false, true)]);
        assert!(settings.borrow().record.all);
    }

    #[tokio::test]
    async fn bad_settings_change_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("flumen.toml");
        fs::write(&file, "[record]\nall = true\n").expect("a file");
        let sources = Sources { file: Some(file.clone()), ..Sources::default() };
        let loaded = sources.load().expect("valid settings");
        let watcher = ConfigWatcher::new(sources, loaded).expect("a watcher");
        let settings = watcher.current().subscribe();
        fs::write(&file, "[record]\nall = 'perhaps'\n").expect("written");
        watcher.reload();
        assert!(!settings.has_changed().expect("a watcher"));
        assert!(settings.borrow().record.all);
    }
}
