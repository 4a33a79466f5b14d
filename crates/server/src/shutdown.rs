//! Stopping: the first signal lets everybody finish, the second ends the process.

use std::future::Future;
use std::io;
use std::process;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::info;

/// The exit status after a second signal.
const INTERRUPTED: i32 = 1;

/// Tells everybody when to finish and knows who has not. Clones are handles to the same shutdown.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    requested: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A shutdown that nobody has requested.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to finish. Asking again changes nothing.
    pub fn request(&self) {
        self.requested.cancel();
    }

    /// Whether everybody was asked to finish.
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Waits until everybody is asked to finish. Safe to cancel.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Runs `task`, which [`Self::finish`] will wait for. The task itself watches [`Self::requested`].
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Makes [`Self::finish`] wait until this is dropped, as for a task: for what was begun elsewhere.
    pub fn hold(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// Asks everybody to finish and waits for them, at most for `grace`. Returns how many tasks did not make it.
    pub async fn finish(&self, grace: Duration) -> usize {
        self.request();
        self.tasks.close();
        let _ = tokio::time::timeout(grace, self.tasks.wait()).await;
        self.tasks.len()
    }

    /// Listens for SIGINT and SIGTERM: the first requests the shutdown, the second exits the process with status 1.
    ///
    /// # Errors
    ///
    /// If the signals cannot be caught.
    pub fn on_signals(&self) -> io::Result<JoinHandle<()>> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = self.clone();
        Ok(tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if shutdown.is_requested() {
                    // Without a line in the log: its thread would not get to write it.
                    process::exit(INTERRUPTED);
                }
                info!("stopping; a second signal exits at once");
                shutdown.request();
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn finishing_waits_for_the_tasks() {
        let shutdown = Shutdown::new();
        let inside = shutdown.clone();
        let task = shutdown.spawn(async move {
            inside.requested().await;
            tokio::time::sleep(GRACE / 2).await;
            "finished"
        });
        assert!(!shutdown.is_requested());
        assert_eq!(shutdown.finish(GRACE).await, 0);
        assert_eq!(task.await.expect("no panic"), "finished");
    }

    #[tokio::test(start_paused = true)]
    async fn the_grace_period_has_an_end() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending::<()>());
        let start = tokio::time::Instant::now();
        assert_eq!(shutdown.finish(GRACE).await, 1);
        assert_eq!(start.elapsed(), GRACE);
    }
}
