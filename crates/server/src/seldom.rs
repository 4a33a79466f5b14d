//! Waiting for what seldom happens beside something that happens all the time.
//!
//! A task that waits for several things asks each of them whenever one is ready. Most connections wait for four or five that
//! come once in a connection's life, or every few seconds, and for media that comes some hundred times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// Asks what it guards only after that has asked for it.
pub(crate) struct Seldom {
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
    /// The task that the bell wakes, to be compared without the lock.
    task: Option<Waker>,
}

struct Bell {
    has_rung: AtomicBool,
    /// Stays when it wakes, because a task leaves it but once.
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        let task = self.task.lock().clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Seldom {
    pub(crate) fn new() -> Self {
        let bell = Arc::new(Bell { has_rung: AtomicBool::new(true), task: Mutex::default() });
        Self { waker: bell.clone().into(), bell, task: None }
    }

    /// Makes the next [`poll`](Self::poll) ask: what it guards is not what it was.
    pub(crate) fn rouse(&self) {
        self.bell.has_rung.store(true, Ordering::Release);
    }

    /// Asks `guarded`, if anything there has woken since the last time. To be given the same futures every time, or
    /// [roused](Self::rouse).
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        guarded: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            *self.bell.task.lock() = Some(cx.waker().clone());
            self.task = Some(cx.waker().clone());
        }
        if !self.bell.has_rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // Before asking, so that what rings meanwhile is not missed.
        self.bell.has_rung.store(false, Ordering::Release);
        let answer = guarded(&mut Context::from_waker(&self.waker));
        if answer.is_ready() {
            // There may be more.
            self.rouse();
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;
    use tokio::time::{Duration, timeout};

    use super::*;

    #[tokio::test]
    async fn it_asks_once_for_every_wake() {
        let (news, mut seldom, mut asked) = (Notify::new(), Seldom::new(), 0);
        let mut future = Box::pin(news.notified());
        let mut wait = async |news: Option<&Notify>| {
            let waiting = poll_fn(|cx| {
                seldom.poll(cx, |cx| {
                    asked += 1;
                    future.as_mut().poll(cx)
                })
            });
            let ring = async { news.inspect(|news| news.notify_one()) };
            let (answer, _) = tokio::join!(timeout(Duration::from_millis(20), waiting), ring);
            (answer.is_ok(), asked)
        };
        assert_eq!(wait(None).await, (false, 1));
        assert_eq!(wait(None).await, (false, 1), "it asks although nothing has woken");
        assert_eq!(wait(Some(&news)).await, (true, 2));
    }

    #[tokio::test]
    async fn it_wakes_the_task_it_has_moved_to() {
        let (news, mut seldom) = (Arc::new(Notify::new()), Seldom::new());
        let mut future = Box::pin(news.clone().notified_owned());
        let first = poll_fn(|cx| Poll::Ready(seldom.poll(cx, |cx| future.as_mut().poll(cx)).is_ready()));
        assert!(!first.await);
        let moved = tokio::spawn(async move {
            poll_fn(|cx| seldom.poll(cx, |cx| future.as_mut().poll(cx))).await;
        });
        tokio::task::yield_now().await;
        news.notify_one();
        timeout(Duration::from_secs(120), moved).await.expect("woken").expect("no panic");
    }

    /// Also the second time, although a task that does not move leaves its waker but once.
    #[test]
    fn every_ring_wakes_the_task() {
        struct Task(AtomicUsize);
        impl Wake for Task {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (task, mut seldom) = (Arc::new(Task(AtomicUsize::new(0))), Seldom::new());
        let waker = Waker::from(task.clone());
        let cx = &mut Context::from_waker(&waker);
        for ring in 1..=3 {
            let mut bell = None;
            let answer = seldom.poll(cx, |cx| {
                bell = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert_eq!(answer, Poll::Pending);
            bell.expect("it asks after every ring").wake();
            assert_eq!(task.0.load(Ordering::Relaxed), ring);
        }
    }

    #[test]
    fn roused_it_asks_again() {
        let mut seldom = Seldom::new();
        let cx = &mut Context::from_waker(Waker::noop());
        assert_eq!(seldom.poll(cx, |_| Poll::Ready(1)), Poll::Ready(1));
        assert_eq!(
            seldom.poll(cx, |_| Poll::<()>::Pending),
            Poll::Pending,
            "after an answer it asks for more"
        );
        assert_eq!(seldom.poll(cx, |_| Poll::Ready(2)), Poll::Pending);
        seldom.rouse();
        assert_eq!(seldom.poll(cx, |_| Poll::Ready(3)), Poll::Ready(3));
    }
}
