//! When watches are woken.
//!
//! A quiet watch is woken at once. One that was woken a moment ago waits until a window has passed, so that several
//! events share a write: a write costs the kernel some ten microseconds whatever is in it. The window grows with the
//! number of watches that have something to write, so that writing leaves the rest of the machine room.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

use super::inbox::Shared;
use super::outbox::Outbox;
use crate::hub::lock;

/// Window for each watch that has something: four times what a write of it costs.
const EACH: Duration = Duration::from_micros(40);
/// No event waits longer for company.
const LONGEST: Duration = Duration::from_millis(20);
/// What a few busy watches wait: with this several events share a write, and nobody notices.
const SHORTEST: Duration = Duration::from_millis(2);
/// Fewer watches that have something do not wait: what writes them costs little, and who reacts to what it sees goes on
/// at once.
const FEW: usize = 4;

/// The watches that have been rung and not yet woken.
#[derive(Debug, Default)]
pub struct Pacer {
    rung: Mutex<Vec<Arc<Outbox>>>,
    waker: AtomicWaker,
}

impl Pacer {
    /// A watch of this outbox has something.
    pub fn ring(&self, outbox: &Arc<Outbox>) {
        let mut rung = lock(&self.rung);
        rung.push(Arc::clone(outbox));
        if rung.len() == 1 {
            drop(rung);
            self.waker.wake();
        }
    }
}

/// How long events wait for each other while so many watches have something.
fn window(crowd: usize) -> Duration {
    if crowd < FEW {
        return Duration::ZERO;
    }
    let window = EACH.saturating_mul(u32::try_from(crowd).unwrap_or(u32::MAX));
    window.clamp(SHORTEST, LONGEST)
}

/// Wakes watches as long as the runtime lives.
pub async fn run(shared: Arc<Shared>) {
    let began = Instant::now();
    let mut waiting: Vec<Arc<Outbox>> = Vec::new();
    let mut tick: Option<Pin<Box<Sleep>>> = None;
    let mut crowd = 0;
    loop {
        let mut ticked = false;
        let rung = poll_fn(|context| {
            shared.pacer.waker.register(context.waker());
            if let Some(timer) = &mut tick
                && timer.as_mut().poll(context).is_ready()
            {
                ticked = true;
                tick = None;
            }
            let rung = std::mem::take(&mut *lock(&shared.pacer.rung));
            if rung.is_empty() && !ticked {
                Poll::Pending
            } else {
                Poll::Ready(rung)
            }
        })
        .await;
        let now = Instant::now();
        let micros = u64::try_from((now - began).as_micros()).unwrap_or(u64::MAX);
        // It rises at once and falls by half with each round.
        crowd = (rung.len() + waiting.len()).max(crowd / 2);
        let window = window(crowd);
        let spacing = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
        let wake = |outbox: &Arc<Outbox>| {
            outbox.woken.store(micros, Ordering::Relaxed);
            outbox.wake();
        };
        if ticked {
            waiting.drain(..).for_each(|outbox| wake(&outbox));
        }
        for outbox in rung {
            if micros - outbox.woken.load(Ordering::Relaxed).min(micros) >= spacing {
                wake(&outbox);
            } else {
                waiting.push(outbox);
            }
        }
        if !waiting.is_empty() && tick.is_none() {
            tick = Some(Box::pin(sleep_until(now + window)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_watches_do_not_wait() {
        assert_eq!(window(0), Duration::ZERO);
        assert_eq!(window(FEW - 1), Duration::ZERO);
        assert_eq!(window(FEW), SHORTEST);
        assert_eq!(window(100), Duration::from_millis(4));
        assert_eq!(window(1_000_000), LONGEST);
    }
}
